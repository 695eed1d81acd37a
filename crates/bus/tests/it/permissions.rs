//! The user of the deployment may do all that casewire does, and not much else.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::{ConnectOptions, jetstream};
use casewire_bus::history::Start;
use casewire_bus::jetstream::Credentials;
use casewire_bus::{DirectoryBoard, History, JetStream, JetStreamConfig, PrepareError, Stream, ack_all};
use casewire_testkit::{NatsServer, eventually};

use crate::directory::{directory, see};
use crate::rig::{PATIENCE, Settings, event, fetch};

const PASSWORD: &str = "0123456789abcdef";

/// A server at which who may what is as `deploy/nats/authorization.conf` says.
async fn as_deployed() -> Result<NatsServer> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nats/authorization.conf");
    let deployed = std::fs::read_to_string(file)?;
    let at = deployed.find("\nauthorization {").context("nobody is authorised")?;
    NatsServer::start_with(&format!("CASEWIRE_PASSWORD: \"{PASSWORD}\"\n{}", &deployed[at..])).await
}

fn as_casewire(server: &NatsServer, settings: &Settings) -> JetStreamConfig {
    let credentials = Credentials::Password { user: "casewire".to_owned(), password: PASSWORD.into() };
    JetStreamConfig { credentials, ..settings.jetstream(server.url()) }
}

async fn connect(config: JetStreamConfig) -> Result<JetStream> {
    let stream = JetStream::connect(config).await?;
    ensure!(stream.wait_connected(PATIENCE).await);
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_user_may_all_that_casewire_does() -> Result<()> {
    let server = as_deployed().await?;
    let config = as_casewire(&server, &Settings { ack_wait: Duration::from_secs(1), ..Settings::default() });
    let stream = connect(config.clone()).await?;
    stream.prepare().await?;

    let mut seen = stream.watch();
    for version in 1..=3 {
        DirectoryBoard::publish(&stream, &directory(version)).await?;
        see(&mut seen, version, PATIENCE).await?;
    }
    // Whoever comes later reads what hangs there.
    let later = JetStream::connect(config).await?;
    see(&mut later.watch(), 3, PATIENCE).await?;

    for n in 0..4 {
        Stream::publish(&stream, &event(&format!("i:AC1:SM{n}")), 0).await?;
    }
    let mut consumer = stream.consume(0).await?;
    let mut deliveries = fetch(&mut *consumer, 4).await?;
    deliveries[3].hold().await?;
    deliveries.pop().context("the last")?.retry(Duration::ZERO).await?;
    ensure!(stream.backlog().await?[0].oldest_at.is_some());
    ack_all(deliveries).await?;
    ack_all(fetch(&mut *consumer, 1).await?).await?;
    eventually("all are settled", PATIENCE, || async {
        stream.state(0).await.is_ok_and(|state| state.settled_through == 4)
    })
    .await?;
    assert_eq!(stream.read(0, Start::At(1), 10).await?.len(), 4);
    assert_eq!(stream.purge(0, 3).await?, 3);
    stream.prepare().await?;
    let log = server.log();
    ensure!(!log.contains("Violation"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_user_may_change_limits_of_as_many_shards_as_there_are_by_default() -> Result<()> {
    let server = as_deployed().await?;
    let shards = JetStreamConfig::default().shards;
    let small = Settings { shards, max_bytes: 1 << 20, ..Settings::default() };
    connect(as_casewire(&server, &small)).await?.prepare().await?;
    let more = Settings { max_bytes: 2 << 20, ack_wait: Duration::from_secs(45), ..small };
    let changed = connect(as_casewire(&server, &more)).await?.migrate().await?;
    assert_eq!(
        changed.len(),
        2 * shards as usize,
        "a limit of each stream and one of each consumer: {changed:?}"
    );
    ensure!(!server.log().contains("Violation"), "{}", server.log());

    // One beyond them can be made, and is changed once the server's file names it.
    let wide = connect(as_casewire(&server, &Settings { shards: shards + 1, ..more.clone() })).await?;
    ensure!(wide.migrate().await?.is_empty());
    let wider = Settings { shards: shards + 1, max_bytes: 3 << 20, ..more };
    let refused = connect(as_casewire(&server, &wider)).await?.migrate().await.expect_err("refused");
    let why = "does not answer $JS.API.STREAM.UPDATE.IN_4: may this user publish there?";
    ensure!(matches!(&refused, PrepareError::Refused(told) if told.ends_with(why)), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_user_can_neither_destroy_nor_overhear() -> Result<()> {
    let server = as_deployed().await?;
    let options = ConnectOptions::with_user_and_password("casewire".to_owned(), PASSWORD.to_owned());
    let client = options.connect(server.url()).await?;
    let patience = Duration::from_secs(1);
    let tools = jetstream::context::ContextBuilder::new().timeout(patience).build(client.clone());
    for (name, subject) in
        [("IN_0", "in.0.>"), ("KV_casewire_directory", "$KV.casewire_directory.>"), ("OTHER", "in.9.>")]
    {
        let subjects = vec![subject.to_owned()];
        let config = jetstream::stream::Config { name: name.to_owned(), subjects, ..Default::default() };
        tools.create_stream(config.clone()).await?;
        ensure!(tools.delete_stream(name).await.is_err());
        // The limits of a shard may be changed; nothing of another stream may.
        assert_eq!(tools.update_stream(config).await.is_ok(), name == "IN_0", "{name}");
        tools.get_stream(name).await?;
    }
    let _overheard = client.subscribe("in.>").await?;
    eventually("it is refused", PATIENCE, || async { server.log().contains("Subscription Violation") }).await
}
