//! What ingest answers while the stream is away, full or slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use casewire_bus::{
    Backlog, ConsumeError, Consumer, JetStream, JetStreamConfig, PrepareError, PublishError, Published,
    Stream,
};
use casewire_domain::Event;
use casewire_runtime::config;
use casewire_testkit::{NatsServer, eventually};
use reqwest::{Response, StatusCode};
use tokio::sync::Semaphore;

use crate::front::{Front, SOON, events, text};

fn sid(n: u32) -> String {
    format!("SM{n:032x}")
}

/// A JetStream of a server of its own.
async fn jetstream(server: &NatsServer) -> Result<Arc<JetStream>> {
    casewire_testkit::http::install_tls();
    let config = JetStreamConfig { url: server.url(), max_bytes: 16 << 20, ..Default::default() };
    let stream = JetStream::connect(config).await?;
    ensure!(stream.wait_connected(SOON).await, "connected");
    stream.prepare().await?;
    Ok(Arc::new(stream))
}

#[track_caller]
fn assert_put_off(answer: &Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "2");
}

#[tokio::test]
async fn while_the_stream_is_down_texts_are_put_off_in_time_and_taken_when_it_is_back() -> Result<()> {
    let server = NatsServer::start().await?;
    let stream = jetstream(&server).await?;
    let front = Front::with(stream.clone(), config::Ingest::default()).await?;
    assert_eq!(front.post("/inbound/main", &text(&sid(1), "before")).await?.status(), StatusCode::OK);

    server.kill()?;
    let started = Instant::now();
    assert_put_off(&front.post("/inbound/main", &text(&sid(2), "during")).await?);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let readiness = front.health.readiness();
    assert!(readiness.iter().all(|check| check.ok), "an election is shorter than the grace: {readiness:?}");

    server.restart().await?;
    eventually("the text is taken", SOON, async || {
        let answer = front.post("/inbound/main", &text(&sid(2), "during")).await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    })
    .await?;
    let mut bodies: Vec<_> =
        events(stream.as_ref()).await?.into_iter().map(|event| event.dedupe_id.to_string()).collect();
    bodies.sort();
    assert_eq!(bodies.len(), 2, "{bodies:?}");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_hangs_is_waited_for_no_longer_than_the_provider_waits() -> Result<()> {
    let server = NatsServer::start().await?;
    let stream = jetstream(&server).await?;
    let front = Front::with(stream, config::Ingest::default()).await?;
    server.pause().await?;
    let started = Instant::now();
    let answer = front.post("/inbound/main", &text(&sid(1), "hi")).await?;
    server.resume()?;
    assert_put_off(&answer);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let metrics = front.metrics.encode()?;
    let failures = metrics
        .lines()
        .filter(|line| line.starts_with("casewire_publish_failures_total") && line.ends_with(" 1"));
    assert_eq!(failures.count(), 1, "{metrics}");
    Ok(())
}

/// A stream that answers when it is let, and then as it is told.
struct Held {
    arrived: AtomicU32,
    gate: Semaphore,
    answer: Result<Published, PublishError>,
}

impl Held {
    fn answering(answer: Result<Published, PublishError>) -> Arc<Self> {
        Arc::new(Self { arrived: AtomicU32::new(0), gate: Semaphore::new(0), answer })
    }
}

#[async_trait]
impl Stream for Held {
    fn shards(&self) -> u32 {
        1
    }
    async fn prepare(&self) -> Result<(), PrepareError> {
        Ok(())
    }
    async fn publish(&self, _event: &Event, _shard: u32) -> Result<Published, PublishError> {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let _let = self.gate.acquire().await;
        self.answer.clone()
    }
    async fn consume(&self, _shard: u32) -> Result<Box<dyn Consumer>, ConsumeError> {
        Err(ConsumeError::Missing)
    }
    async fn backlog(&self) -> Result<Vec<Backlog>, ConsumeError> {
        Ok(Vec::new())
    }
    fn connected(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn an_answer_without_a_place_in_the_stream_and_a_full_stream_are_no_success() -> Result<()> {
    for answer in [Ok(Published { sequence: 0, duplicate: true }), Err(PublishError::Full)] {
        let stream = Held::answering(answer);
        stream.gate.add_permits(1);
        let front = Front::with(stream, config::Ingest::default()).await?;
        assert_put_off(&front.post("/inbound/main", &text(&sid(1), "hi")).await?);
    }
    Ok(())
}

#[tokio::test]
async fn beyond_what_may_wait_for_the_stream_the_answer_is_immediate() -> Result<()> {
    let stream = Held::answering(Ok(Published { sequence: 1, duplicate: false }));
    let settings = config::Ingest { max_in_flight: std::num::NonZeroU32::MIN, ..Default::default() };
    let server = config::Server { workers: std::num::NonZeroU16::MIN, ..Default::default() };
    let front = Arc::new(Front::serving(stream.clone(), settings, server).await?);
    let waiting = tokio::spawn({
        let front = front.clone();
        async move { front.post("/inbound/main", &text(&sid(1), "hi")).await }
    });
    eventually("the first one waits", SOON, async || stream.arrived.load(Ordering::Relaxed) == 1).await?;
    let turned_away = front.post("/inbound/main", &text(&sid(2), "hi")).await?;
    stream.gate.add_permits(1);
    let waited = waiting.await??;
    assert_put_off(&turned_away);
    let overloaded = "casewire_webhook_requests_total{kind=\"inbound\",outcome=\"overloaded\"}";
    assert_eq!((waited.status(), front.metric(overloaded)?.as_str()), (StatusCode::OK, "1"));
    Ok(())
}
