//! A gate before the provider: it takes requests and holds back answers until it is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) url: String,
    open: watch::Sender<bool>,
    held: Arc<AtomicUsize>,
}

impl Gate {
    /// An open gate before a server of this address.
    pub(crate) async fn before(server: String) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let gate = Self { url, open: watch::Sender::new(true), held: Arc::default() };
        let keeper = gate.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (gate, server) = (keeper.clone(), server.clone());
                // An error is the end of one connection, which its client notices.
                tokio::spawn(async move { drop(gate.pass(client, &server).await) });
            }
        });
        Ok(gate)
    }

    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// How many answers wait behind it now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    async fn pass(&self, client: TcpStream, server: &str) -> Result<()> {
        let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
        let (mut from_client, mut to_client) = client.into_split();
        let requests = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
        let mut buffer = vec![0; 64 * 1024];
        let mut open = self.open.subscribe();
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            self.held.fetch_add(1, Ordering::SeqCst);
            let opened = open.wait_for(|open| *open).await.is_ok();
            self.held.fetch_sub(1, Ordering::SeqCst);
            if !opened {
                break;
            }
            to_client.write_all(&buffer[..read]).await?;
        }
        requests.abort();
        Ok(())
    }
}
