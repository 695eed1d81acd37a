//! What only JetStream does: servers come and go, and their set-up may not be ours.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::{self, message::StreamMessage, stream};
use casewire_bus::jetstream::Credentials;
use casewire_bus::{
    ConsumeError, JetStream, JetStreamConfig, NotSettled, PrepareError, PublishError, Stream, ack_all,
};
use casewire_domain::{Event, TraceParent};
use casewire_testkit::{NatsServer, eventually};
use tokio::time::timeout;

use crate::directory::{directory, see};
use crate::rig::{Adapter, PATIENCE, Rig, Settings, event, event_of, fetch, id_of};

async fn start() -> Result<Rig> {
    Rig::start(Adapter::JetStream, Settings::default()).await
}

/// JetStream as an operator's tools see it.
pub(crate) async fn tools(server: &NatsServer) -> Result<jetstream::Context> {
    Ok(jetstream::new(async_nats::connect(server.url()).await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_it_starts_refuses_promptly_and_works_once_there_is_one() -> Result<()> {
    let server = NatsServer::start().await?;
    server.kill()?;
    let stream = JetStream::connect(Settings::default().jetstream(server.url())).await?;
    ensure!(!stream.connected());
    let start = Instant::now();
    assert_eq!(Stream::publish(&stream, &event("i:AC1:SM1"), 0).await, Err(PublishError::Unavailable));
    assert_eq!(stream.consume(0).await.err(), Some(ConsumeError::Unavailable));
    assert_eq!(stream.backlog().await, Err(ConsumeError::Unavailable));
    ensure!(start.elapsed() < Duration::from_secs(1), "it took {:?} to refuse", start.elapsed());
    assert_eq!(stream.prepare().await, Err(PrepareError::Unavailable));

    server.restart().await?;
    ensure!(stream.wait_connected(PATIENCE).await);
    assert_eq!(stream.consume(0).await.err(), Some(ConsumeError::Missing));
    stream.prepare().await?;
    assert_eq!(
        Stream::publish(&stream, &event("i:AC1:SM2"), 0).await?.sequence,
        1,
        "the first was not kept for later"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_costs_a_publish_no_more_than_its_bound() -> Result<()> {
    let rig = start().await?;
    let stream = rig.stream();
    rig.server()?.pause().await?;
    let start = Instant::now();
    assert_eq!(stream.publish(&event("i:AC1:SM1"), 0).await, Err(PublishError::Timeout));
    let took = start.elapsed();
    ensure!(took < Duration::from_secs(3), "it took {took:?}");
    rig.server()?.resume()?;
    eventually("the same event is stored", PATIENCE, || async {
        stream.publish(&event("i:AC1:SM1"), 0).await.is_ok()
    })
    .await?;
    let deliveries = fetch(&mut *stream.consume(0).await?, 1).await?;
    assert_eq!(deliveries.len(), 1, "it is there once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_fetch_outlives_the_server_it_asked() -> Result<()> {
    let mut rig = start().await?;
    let mut consumer = rig.stream().consume(0).await?;
    let long = Duration::from_secs(60);
    let waiting = tokio::spawn(async move {
        loop {
            match consumer.fetch(10, long).await {
                Ok(deliveries) if deliveries.is_empty() => {}
                Ok(deliveries) => return Ok(deliveries.len()),
                Err(error) => return Err(error),
            }
        }
    });
    // A round trip over the same connection: by its end the server has been asked to wait.
    rig.stream().backlog().await?;
    rig.crash().await?;
    let start = Instant::now();
    rig.stream().publish(&event("i:AC1:SM1"), 0).await?;
    assert_eq!(waiting.await??, 1);
    ensure!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_that_try_again_through_kills_store_every_event_once() -> Result<()> {
    const EACH: usize = 250;
    // Events on their way to the taker at a kill come again after this.
    let ack_wait = Duration::from_secs(2);
    let mut rig = Rig::start(Adapter::JetStream, Settings { ack_wait, ..Settings::default() }).await?;
    let mut publishers = Vec::new();
    for publisher in 0..8 {
        let stream = rig.stream();
        publishers.push(tokio::spawn(async move {
            for number in 0..EACH {
                let event = event(&format!("i:AC{publisher}:SM{number}"));
                eventually("the event is stored", PATIENCE, || async {
                    stream.publish(&event, 0).await.is_ok()
                })
                .await?;
            }
            anyhow::Ok(())
        }));
    }
    let mut consumer = rig.stream().consume(0).await?;
    let taker = tokio::spawn(async move {
        let mut seen = BTreeSet::new();
        while seen.len() < 8 * EACH {
            // Errors, while the server is away, are what this is about.
            let deliveries = consumer.fetch(100, Duration::from_secs(1)).await.unwrap_or_default();
            seen.extend(deliveries.iter().map(id_of));
            let _ = ack_all(deliveries).await;
        }
    });
    for kill in 1..=3 {
        eventually("there is load", PATIENCE, || async {
            let backlog = rig.stream().backlog().await.unwrap_or_default();
            backlog.first().is_some_and(|shard| shard.messages > kill * 100)
        })
        .await?;
        rig.crash().await?;
    }
    for publisher in publishers {
        publisher.await??;
    }
    timeout(PATIENCE, taker).await??;
    assert_eq!(rig.stream().backlog().await?[0].messages, u64::try_from(8 * EACH)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_without_its_stream_is_refused_promptly() -> Result<()> {
    let rig = start().await?;
    tools(rig.server()?).await?.delete_stream("IN_0").await?;
    let start = Instant::now();
    assert_eq!(rig.stream().publish(&event("i:AC1:SM1"), 0).await, Err(PublishError::Unavailable));
    ensure!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_stream_is_missed_and_can_be_prepared_again() -> Result<()> {
    let rig = start().await?;
    let (stream, server) = (rig.stream(), rig.server()?);
    let mut consumer = stream.consume(0).await?;
    stream.publish(&event("i:AC1:SM1"), 0).await?;
    let delivery = fetch(&mut *consumer, 1).await?.remove(0);
    server.wipe()?;
    eventually("the loss is noticed", PATIENCE, || async { !stream.connected() }).await?;
    let fetched = consumer.fetch(1, Duration::from_millis(100)).await;
    assert_eq!(fetched.err(), Some(ConsumeError::Unavailable));
    assert_eq!(delivery.ack().await, Err(NotSettled));
    server.restart().await?;
    eventually("the connections stand again", PATIENCE, || async { stream.connected() }).await?;
    assert_eq!(consumer.fetch(1, Duration::from_millis(200)).await.err(), Some(ConsumeError::Missing));
    assert_eq!(stream.backlog().await.err(), Some(ConsumeError::Missing));

    stream.prepare().await?;
    let again = stream.publish(&event("i:AC1:SM2"), 0).await?;
    assert_eq!((again.sequence, again.duplicate), (1, false), "that places begin again is found out");
    let deliveries = fetch(&mut *consumer, 1).await?;
    assert_eq!((deliveries[0].sequence, id_of(&deliveries[0]).as_str()), (1, "i:AC1:SM2"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_deleted_under_a_waiting_fetch_is_missed_and_can_be_prepared_again() -> Result<()> {
    let rig = start().await?;
    let stream = rig.stream();
    stream.publish(&event("i:AC1:SM1"), 0).await?;
    let mut consumer = stream.consume(0).await?;
    tools(rig.server()?).await?.get_stream("IN_0").await?.delete_consumer("work").await?;
    assert_eq!(consumer.fetch(1, Duration::from_millis(200)).await.err(), Some(ConsumeError::Missing));
    stream.prepare().await?;
    assert_eq!(id_of(&fetch(&mut *consumer, 1).await?[0]), "i:AC1:SM1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn preparing_is_harmless_by_many_at_once_and_again() -> Result<()> {
    let server = NatsServer::start().await?;
    let mut workers = Vec::new();
    for _ in 0..4 {
        let config = Settings { shards: 4, ..Settings::default() }.jetstream(server.url());
        workers.push(tokio::spawn(async move {
            let stream = JetStream::connect(config).await?;
            ensure!(stream.wait_connected(PATIENCE).await);
            stream.prepare().await?;
            anyhow::Ok(stream)
        }));
    }
    for worker in workers {
        let stream = worker.await??;
        stream.prepare().await?;
        Stream::publish(&stream, &event("i:AC1:SM1"), 3).await?;
        assert_eq!(
            stream.backlog().await?.iter().map(|shard| shard.messages).collect::<Vec<_>>(),
            [0, 0, 0, 1]
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_set_up_so_that_nothing_is_forgotten_or_dropped() -> Result<()> {
    let server = NatsServer::start().await?;
    let stream =
        JetStream::connect(JetStreamConfig { url: server.url(), ..JetStreamConfig::default() }).await?;
    ensure!(stream.wait_connected(PATIENCE).await);
    stream.prepare().await?;
    let mut there = tools(&server).await?.get_stream("IN_3").await.context("four shards by default")?;
    let config = there.info().await?.config.clone();
    assert_eq!(config.subjects, ["in.3.>"]);
    assert_eq!(config.retention, stream::RetentionPolicy::Limits);
    assert_eq!(config.discard, stream::DiscardPolicy::New);
    assert_eq!(config.storage, stream::StorageType::File);
    assert_eq!(config.duplicate_window, Duration::from_secs(900));
    assert_eq!((config.max_age, config.max_message_size), (Duration::from_secs(7 * 86400), 256 << 10));
    ensure!(!config.deny_delete, "erasure must be able to delete one message");
    let work = there.consumer_info("work").await?.config;
    assert_eq!((work.ack_wait, work.max_deliver, work.max_ack_pending), (Duration::from_secs(30), -1, 4096));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_set_up_otherwise_is_refused_with_every_difference() -> Result<()> {
    let rig = start().await?;
    let tools = tools(rig.server()?).await?;
    let mut config = tools.get_stream("IN_0").await?.info().await?.config.clone();
    config.max_bytes = 4321;
    config.discard = stream::DiscardPolicy::Old;
    tools.update_stream(config).await?;
    let refused = rig.stream().prepare().await.expect_err("refused").to_string();
    ensure!(refused.contains("IN_0 has max_bytes 4321, configured is 67108864"), "{refused}");
    ensure!(refused.contains("IN_0 has discard Old, configured is New"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_shards_are_refused_while_those_given_up_hold_work() -> Result<()> {
    let settings = Settings { shards: 3, ..Settings::default() };
    let rig = Rig::start(Adapter::JetStream, settings.clone()).await?;
    rig.stream().publish(&event("i:AC1:SM1"), 2).await?;
    let fewer = JetStream::connect(Settings { shards: 1, ..settings }.jetstream(rig.server()?.url())).await?;
    ensure!(fewer.wait_connected(PATIENCE).await);
    let refused = fewer.prepare().await.expect_err("refused").to_string();
    ensure!(
        refused.contains("IN_2 holds 1 unfinished events, but only 1 shards are configured"),
        "{refused}"
    );
    for delivery in fetch(&mut *rig.stream().consume(2).await?, 1).await? {
        delivery.ack().await?;
    }
    eventually("it is prepared once the work is done", PATIENCE, || async { fewer.prepare().await.is_ok() })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_carry_id_and_trace_and_the_subject_names_nobody() -> Result<()> {
    let rig = start().await?;
    let seen = event_of("i:AC1:SM1", 10);
    rig.stream().publish(&seen, 0).await?;
    let trace = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
    let unseen = Event { trace, ..event("i:AC1:SM2") };
    rig.stream().publish(&unseen, 0).await?;
    let stream = tools(rig.server()?).await?.get_stream("IN_0").await?;
    let (first, second) = (stream.get_raw_message(1).await?, stream.get_raw_message(2).await?);
    assert_eq!(first.subject.as_str(), "in.0.message");
    let header =
        |stored: &StreamMessage, name: &str| stored.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header(&first, "Nats-Msg-Id").as_deref(), Some("i:AC1:SM1"));
    assert_eq!(header(&first, "traceparent").as_deref(), seen.trace.as_ref().map(TraceParent::as_str));
    assert_eq!(header(&second, "traceparent"), None, "nobody can look it up");
    let delivered = fetch(&mut *rig.stream().consume(0).await?, 2).await?;
    let held: Vec<_> =
        delivered.into_iter().map(|delivery| delivery.event.map(|event| event.trace)).collect();
    assert_eq!(held, [Ok(seen.trace), Ok(unseen.trace)], "the event itself tells");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_publishes_to_the_same_stream_over_a_connection_of_its_own() -> Result<()> {
    let rig = start().await?;
    let shared = rig.stream();
    let own = shared.on_this_thread().await.context("a connection")?;
    eventually("it connects", PATIENCE, || async { own.connected() }).await?;
    assert_eq!(own.publish(&event("i:AC1:SM1"), 0).await?.sequence, 1);
    let again = shared.publish(&event("i:AC1:SM1"), 0).await?;
    assert_eq!((again.sequence, again.duplicate), (1, true));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_a_guarded_server_and_a_wrong_one_does_not() -> Result<()> {
    let server = NatsServer::start_with("authorization { user: casewire, password: right }").await?;
    let with = |password: &str| JetStreamConfig {
        credentials: Credentials::Password {
            user: "casewire".to_owned(),
            password: password.to_owned().into(),
        },
        ..Settings::default().jetstream(server.url())
    };
    let wrong = JetStream::connect(with("wrong")).await?;
    let right = JetStream::connect(with("right")).await?;
    ensure!(right.wait_connected(PATIENCE).await);
    right.prepare().await?;
    ensure!(!wrong.wait_connected(Duration::from_millis(500)).await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_our_own_authority_is_trusted_when_its_certificates_are_given() -> Result<()> {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls");
    let (certificate, key) = (files.join("server.pem"), files.join("server.key"));
    let server =
        NatsServer::start_with(&format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}")).await?;
    let plain = Settings::default().jetstream(server.url());
    let trusting = JetStreamConfig { ca_file: Some(files.join("ca.pem")), ..plain.clone() };
    let trusting = JetStream::connect(trusting).await?;
    ensure!(trusting.wait_connected(PATIENCE).await);
    trusting.prepare().await?;
    Stream::publish(&trusting, &event("i:AC1:SM1"), 0).await?;
    let stranger = JetStream::connect(plain).await?;
    ensure!(!stranger.wait_connected(Duration::from_millis(500)).await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_when_tls_is_required() -> Result<()> {
    let server = NatsServer::start().await?;
    let config = JetStreamConfig { require_tls: true, ..Settings::default().jetstream(server.url()) };
    let stream = JetStream::connect(config).await?;
    ensure!(!stream.wait_connected(Duration::from_millis(500)).await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_once_seen_stays_and_changes_are_seen_after_a_restart_and_a_wipe() -> Result<()> {
    let mut rig = start().await?;
    let board = rig.board();
    let mut seen = board.watch();
    board.publish(&directory(1)).await?;
    see(&mut seen, 1, PATIENCE).await?;

    rig.crash().await?;
    board.publish(&directory(2)).await?;
    see(&mut seen, 2, Duration::from_secs(5)).await?;

    let server = rig.server()?;
    server.wipe()?;
    server.restart().await?;
    eventually("the connections stand again", PATIENCE, || async { rig.stream().connected() }).await?;
    ensure!(board.publish(&directory(3)).await.is_err(), "there is no board");
    assert_eq!(seen.borrow().as_ref().map(|shown| shown.version), Some(2), "what was seen stays");
    rig.stream().prepare().await?;
    board.publish(&directory(3)).await?;
    see(&mut seen, 3, PATIENCE).await?;
    // Whoever read that one by itself still has to follow what comes.
    board.publish(&directory(4)).await?;
    see(&mut seen, 4, Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_too_large_for_the_server_is_refused_with_a_reason() -> Result<()> {
    let rig = start().await?;
    let mut large = directory(1);
    large.lines = vec![large.lines[0].clone(); 10_000];
    let refused = rig.board().publish(&large).await.expect_err("refused");
    ensure!(refused.to_string().contains("refused the directory"), "{refused}");
    Ok(())
}
