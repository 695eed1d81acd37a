//! A network that swallows everything and ends no connection.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use casewire_bus::{JetStream, JetStreamConfig, PublishError, Stream};
use casewire_testkit::{NatsServer, eventually};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::rig::{PATIENCE, event};

/// The longest that a dead peer may go unnoticed, and a living one again.
const NOTICED: Duration = Duration::from_secs(30);

/// What stands between us and the server. What a connection meets while the hole is there is stuck for good.
struct Network {
    port: u16,
    hole: watch::Sender<bool>,
}

impl Network {
    async fn before(server: &NatsServer) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, server) = (listener.local_addr()?.port(), server.port());
        let (hole, watched) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, watched.clone()));
            }
        });
        Ok(Self { port, hole })
    }
}

async fn relay(client: TcpStream, server: u16, hole: watch::Receiver<bool>) -> Result<()> {
    let (read, write) = client.into_split();
    until_swallowed(&hole).await;
    let (from, to) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?.into_split();
    tokio::join!(pass(read, to, hole.clone()), pass(from, write, hole));
    Ok(())
}

/// Passes bytes on until the hole swallows them; then neither end hears of the other again.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    hole: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        until_swallowed(&hole).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn until_swallowed(hole: &watch::Receiver<bool>) {
    if *hole.borrow() {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_peer_is_noticed_and_found_again_when_the_network_is() -> Result<()> {
    casewire_testkit::http::install_tls();
    let server = NatsServer::start().await?;
    let network = Network::before(&server).await?;
    let url = format!("nats://127.0.0.1:{}", network.port);
    // Everything that has to do with time as it is by default.
    let config = JetStreamConfig { url, max_bytes: 16 << 20, ..JetStreamConfig::default() };
    let stream = JetStream::connect(config).await?;
    ensure!(stream.wait_connected(PATIENCE).await);
    stream.prepare().await?;
    Stream::publish(&stream, &event("i:AC1:SM1"), 0).await?;

    network.hole.send_replace(true);
    let started = Instant::now();
    assert_eq!(Stream::publish(&stream, &event("i:AC1:SM2"), 0).await, Err(PublishError::Timeout));
    ensure!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // Each connection finds out by itself: that one of them has says nothing about the one that publishes.
    let refused =
        async || Stream::publish(&stream, &event("i:AC1:SM3"), 0).await == Err(PublishError::Unavailable);
    eventually("the dead peer is noticed", NOTICED, refused).await?;
    ensure!(!stream.connected());

    network.hole.send_replace(false);
    eventually("it is found again", NOTICED, async || stream.connected()).await?;
    ensure!(!Stream::publish(&stream, &event("i:AC1:SM2"), 0).await?.duplicate, "what was swallowed is gone");
    Ok(())
}
