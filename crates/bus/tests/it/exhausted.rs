//! A server that has no room left for anybody, though the stream itself is not full.

use anyhow::{Result, ensure};
use async_nats::jetstream::{self, stream};
use casewire_bus::{JetStream, PublishError, Stream};
use casewire_testkit::NatsServer;

use crate::rig::{PATIENCE, Settings, event};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_is_full_and_nothing_is_wrong_with_the_event() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bounded = format!("jetstream {{ store_dir: {:?}, max_file_store: 4MB }}", folder.path());
    let server = NatsServer::start_with(&bounded).await?;
    let settings = Settings { max_bytes: 1 << 20, ..Settings::default() };
    let ours = JetStream::connect(settings.jetstream(server.url())).await?;
    ensure!(ours.wait_connected(PATIENCE).await);
    ours.prepare().await?;
    Stream::publish(&ours, &event("i:AC1:SM1"), 0).await?;

    // Somebody else's stream, without a bound of its own.
    let tools = jetstream::new(async_nats::connect(server.url()).await?);
    let config =
        stream::Config { name: "HOG".to_owned(), subjects: vec!["hog".to_owned()], ..Default::default() };
    tools.create_stream(config).await?;
    let mut taken = 0;
    while tools.publish("hog", vec![0; 256 << 10].into()).await?.await.is_ok() {
        taken += 1;
        ensure!(taken < 100, "it has a bound");
    }
    assert_eq!(Stream::publish(&ours, &event("i:AC1:SM2"), 0).await, Err(PublishError::Full));

    tools.delete_stream("HOG").await?;
    Stream::publish(&ours, &event("i:AC1:SM2"), 0).await?;
    Ok(())
}
