//! The public address in front of several ingests, as a load balancer stands in front of real ones.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How often those behind it are asked whether they are ready.
const POLL: Duration = Duration::from_millis(200);

/// Hands connections out in turn: to those that are ready, then to the others, past those whose port does not answer.
/// With nobody left it closes them.
pub(crate) struct Balancer {
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// One of those behind it.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    port: u16,
    /// Where it says whether it is ready; not asked without one.
    readiness: Option<String>,
    ready: Arc<AtomicBool>,
}

impl Backend {
    pub(crate) fn new(port: u16, readiness: Option<String>) -> Self {
        Self { port, readiness, ready: Arc::new(AtomicBool::new(true)) }
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Asks it for ever.
    async fn watch(self) {
        let Some(readiness) = &self.readiness else { return };
        let client = casewire_testkit::http::client().unwrap();
        loop {
            let answer = client.get(readiness).send().await;
            self.ready.store(answer.is_ok_and(|answer| answer.status() == 200), Ordering::Relaxed);
            tokio::time::sleep(POLL).await;
        }
    }
}

impl From<u16> for Backend {
    fn from(port: u16) -> Self {
        Self::new(port, None)
    }
}

impl Balancer {
    pub(crate) async fn start<B: Into<Backend>>(behind: Vec<B>) -> Self {
        let behind: Vec<Backend> = behind.into_iter().map(Into::into).collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks: Vec<_> = behind.iter().map(|backend| tokio::spawn(backend.clone().watch())).collect();
        tasks.push(tokio::spawn(async move {
            let mut turns = (0..behind.len()).cycle();
            while let (Ok((client, _)), Some(turn)) = (listener.accept().await, turns.next()) {
                let mut order = behind.clone();
                order.rotate_left(turn);
                order.sort_by_key(|backend| !backend.is_ready());
                tokio::spawn(forward(client, order));
            }
        }));
        Self { address, tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn forward(mut client: TcpStream, order: Vec<Backend>) {
    for backend in order {
        if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, backend.port)).await {
            // A connection that breaks on either side is broken on the other: the caller sees to that.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
