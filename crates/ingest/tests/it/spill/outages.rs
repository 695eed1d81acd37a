//! The stream is away, hangs, or is full in a part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use casewire_bus::{JetStream, JetStreamConfig, Stream, shard_of};
use casewire_domain::Source;
use casewire_runtime::config;
use casewire_testkit::{NatsServer, eventually};
use reqwest::StatusCode;

use super::{all_once, events_of, front, number, settings, sid, sum, take, text_of};
use crate::fickle::{Fickle, Mood};
use crate::front::SOON;

async fn jetstream(server: &NatsServer) -> Result<Arc<JetStream>> {
    casewire_testkit::http::install_tls();
    let config = JetStreamConfig { url: server.url(), max_bytes: 16 << 20, ..Default::default() };
    let stream = JetStream::connect(config).await?;
    ensure!(stream.wait_connected(SOON).await, "connected");
    stream.prepare().await?;
    Ok(Arc::new(stream))
}

/// Somebody whose texts are of this shard.
fn person_of(shard: u32, shards: u32) -> usize {
    (0..1000).find(|person| shard_of("main", &number(*person), shards) == shard).unwrap_or_default()
}

#[tokio::test]
async fn a_text_that_the_stream_does_not_take_is_kept_and_reaches_it_as_it_came() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Away);
    let before = chrono::Utc::now();
    take(&front, 0..1).await?;
    let after = chrono::Utc::now();
    assert_eq!(sum(&front, "casewire_webhook_requests_total{kind=\"inbound\",outcome=\"spilled\"}")?, 1);
    stream.all(Mood::Well);
    let [event] = all_once(&front, stream.as_ref(), 1).await?.try_into().expect("one");
    assert!(event.dedupe_id.as_str().ends_with(&sid(0)));
    assert_eq!((event.source, event.line.as_str()), (Source::Spill, "main"));
    assert!((before..=after).contains(&event.received_at), "when it came, not when it was drained");
    Ok(())
}

#[tokio::test]
async fn a_killed_and_a_frozen_server_cost_no_text_and_hardly_any_waiting() -> Result<()> {
    let (folder, server) = (tempfile::tempdir()?, NatsServer::start().await?);
    let stream = jetstream(&server).await?;
    let front = front(stream.clone(), settings(folder.path())).await?;
    take(&front, 0..20).await?;
    let waited = async |texts| {
        let before = sum(&front, "casewire_publish_failures_total")?;
        take(&front, texts).await?;
        Ok::<_, anyhow::Error>(sum(&front, "casewire_publish_failures_total")? - before)
    };
    server.kill()?;
    let gone = waited(20..120).await?;
    server.restart().await?;
    eventually("the breakers close", SOON, async || {
        sum(&front, "casewire_spill_breaker_open").ok() == Some(0)
    })
    .await?;
    server.pause().await?;
    let frozen = waited(120..220).await?;
    server.resume()?;
    all_once(&front, stream.as_ref(), 220).await?;
    // Three texts of each of four shards, and then no other.
    assert!(gone <= 12 && frozen <= 12, "{gone} and {frozen} of a hundred waited for the stream");
    Ok(())
}

#[tokio::test]
async fn after_the_first_failures_nobody_waits_until_a_probe_finds_the_stream_back() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Hangs);
    let started = Instant::now();
    take(&front, 0..3).await?;
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    let (asked, started) = (stream.asked(), Instant::now());
    take(&front, 3..23).await?;
    // A probe is answered after 2.5 s, and they come one after the other; no text asks.
    let probes = 2 + started.elapsed().as_millis() / 2500;
    let asked = stream.asked() - asked;
    assert!(asked as u128 <= probes, "the stream was asked {asked} times, {probes} probes at most");
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "1");
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), 23).await?;
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "0");
    let kept = sum(&front, "casewire_spill_kept_total")?;
    take(&front, 23..30).await?;
    assert_eq!(sum(&front, "casewire_spill_kept_total")?, kept, "the stream takes them again");
    Ok(())
}

#[tokio::test]
async fn what_the_stream_stored_without_saying_so_is_there_once() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Mute);
    take(&front, 0..2).await?;
    assert_eq!(sum(&front, "casewire_spill_kept_total")?, 2);
    // The one who empties it waits too, and the end finds its events where they were.
    front.end().await?;
    stream.all(Mood::Well);
    let front = self::front(stream.clone(), settings(folder.path())).await?;
    let all = events_of(&front, stream.as_ref(), 2).await?;
    assert!(all.iter().all(|event| event.source == Source::Webhook), "the first way was the one");
    Ok(())
}

#[tokio::test]
async fn one_shard_that_is_full_concerns_no_other() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(2).await?);
    // A full one says so at once, and the other may be slow on a busy machine.
    let patient = config::Ingest { spill_after: SOON, ..settings(folder.path()) };
    let front = front(stream.clone(), patient).await?;
    let (unlucky, lucky) = (person_of(1, 2), person_of(0, 2));
    stream.one(1, Mood::Full);
    for n in 0..5 {
        for (turn, person) in [unlucky, lucky].into_iter().enumerate() {
            let answer = front.post("/inbound/main", &text_of(person, 2 * n + turn)).await?;
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
    assert_eq!(front.metric("casewire_spill_kept_total{stream=\"IN_1\"}")?, "5");
    assert_eq!(front.metric("casewire_spill_kept_total{stream=\"IN_0\"}")?, "0");
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "0");
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), 10).await?;
    Ok(())
}
