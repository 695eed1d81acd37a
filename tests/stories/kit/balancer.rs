//! The public address in front of several ingests, as a load balancer stands in front of real ones.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Hands connections out in turn, past those whose port does not answer. With nobody left it closes them.
pub(crate) struct Balancer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Balancer {
    pub(crate) async fn start(behind: Vec<u16>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            let mut turns = (0..behind.len()).cycle();
            while let (Ok((client, _)), Some(turn)) = (listener.accept().await, turns.next()) {
                let mut order = behind.clone();
                order.rotate_left(turn);
                tokio::spawn(forward(client, order));
            }
        });
        Self { address, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut client: TcpStream, order: Vec<u16>) {
    for port in order {
        if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            // A connection that breaks on either side is broken on the other: the caller sees to that.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
