//! Several servers, of which one is alive and of no use.

use std::time::Duration;

use anyhow::{Result, ensure};
use casewire_bus::{JetStream, JetStreamConfig, Stream};
use casewire_testkit::{NatsServer, eventually};

use crate::rig::{PATIENCE, Settings, event};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_no_use_is_left_even_for_one_that_failed_before() -> Result<()> {
    casewire_testkit::http::install_tls();
    // Without JetStream nobody answers a publish, as at a server that is cut off from the others of its cluster.
    let (useless, good) = (NatsServer::start_with("jetstream: false").await?, NatsServer::start().await?);
    let there = JetStream::connect(Settings::default().jetstream(good.url())).await?;
    ensure!(there.wait_connected(PATIENCE).await);
    there.prepare().await?;
    useless.kill()?;
    good.kill()?;

    let url = format!("{},{}", useless.url(), good.url());
    let leave_after = Duration::from_millis(300);
    let stream =
        JetStream::connect(JetStreamConfig { leave_after, ..Settings::default().jetstream(url) }).await?;
    useless.restart().await?;
    ensure!(stream.wait_connected(PATIENCE).await, "both connections are at the server of no use");
    good.restart().await?;
    let taken = async || Stream::publish(&stream, &event("i:AC1:SM1"), 0).await.is_ok();
    eventually("the other server takes it", PATIENCE, taken).await
}
