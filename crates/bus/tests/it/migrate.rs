//! What `casewire migrate` changes of streams that are there, and what it leaves.

use std::time::Duration;

use anyhow::{Result, ensure};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::jetstream::{self, Context};
use casewire_bus::{Difference, JetStream, JetStreamConfig, PrepareError, PublishError, Stream, ack_all};
use casewire_testkit::{NatsServer, eventually};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::rig::{PATIENCE, Settings, event, event_of, fetch, fetch_now, id_of};

const SMALL: u64 = 20_000;

/// Two shards that are soon full.
fn small(server: &NatsServer) -> JetStreamConfig {
    Settings { shards: 2, max_bytes: SMALL, ..Settings::default() }.jetstream(server.url())
}

async fn connect(config: &JetStreamConfig) -> Result<JetStream> {
    let stream = JetStream::connect(config.clone()).await?;
    ensure!(stream.wait_connected(PATIENCE).await, "no connection");
    Ok(stream)
}

async fn prepared(config: &JetStreamConfig) -> Result<JetStream> {
    let stream = connect(config).await?;
    ensure!(stream.migrate().await?.is_empty(), "what was just created needs no change");
    Ok(stream)
}

/// JetStream as an operator's tools see it.
async fn tools(server: &NatsServer) -> Result<Context> {
    Ok(jetstream::new(async_nats::connect(server.url()).await?))
}

async fn set_up(tools: &Context, stream: &str) -> Result<Config> {
    Ok(tools.get_stream(stream).await?.info().await?.config.clone())
}

/// All that the server says when it is asked, its configuration of a stream for one.
async fn api(server: &NatsServer, what: &str, request: &Value) -> Result<Value> {
    let client = async_nats::connect(server.url()).await?;
    let answer = client.request(format!("$JS.API.{what}"), request.to_string().into()).await?;
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    ensure!(answer.get("error").is_none(), "{answer}");
    Ok(answer)
}

/// The differences that were refused.
fn drift(refused: Result<Vec<String>, PrepareError>) -> Result<Vec<Difference>> {
    match refused {
        Err(PrepareError::Drift(drift)) => Ok(drift),
        other => anyhow::bail!("not refused for what differs: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raised_limits_are_taken_over_and_what_was_held_stays() -> Result<()> {
    let server = NatsServer::start().await?;
    let full = prepared(&small(&server)).await?;
    // What casewire does not set, and the second what its library does not know; servers before 2.10 do not either.
    let mut before = api(&server, "STREAM.INFO.IN_0", &json!({})).await?["config"].take();
    before["description"] = "ours".into();
    before["metadata"] = json!({ "who": "an operator" });
    let mut before = api(&server, "STREAM.UPDATE.IN_0", &before).await?["config"].take();
    for n in 0..4 {
        full.publish(&event_of(&format!("i:AC1:SM{n}"), 4000), 0).await?;
    }
    let mut consumer = full.consume(0).await?;
    let mut held = fetch(&mut *consumer, 4).await?;
    ack_all(held.drain(..2)).await?;
    assert_eq!(full.publish(&event_of("i:AC1:SM4", 4000), 0).await, Err(PublishError::Full));

    let config =
        JetStreamConfig { max_bytes: 1 << 20, max_age: Duration::from_secs(8 * 86400), ..small(&server) };
    let raised = connect(&config).await?;
    let changed = raised.migrate().await?;
    let expected = ["IN_0", "IN_1"].map(|name| {
        [
            format!("{name} max_bytes from {SMALL} to 1048576"),
            format!("{name} max_age from 604800s to 691200s"),
        ]
    });
    assert_eq!(changed, expected.concat());
    ensure!(raised.migrate().await?.is_empty(), "there is nothing left to change");

    ensure!(full.publish(&event_of("i:AC1:SM0", 4000), 0).await?.duplicate, "ids are known still");
    assert_eq!(full.publish(&event_of("i:AC1:SM4", 4000), 0).await?.sequence, 5);
    ack_all(held).await?;
    let more = fetch(&mut *consumer, 1).await?;
    assert_eq!((id_of(&more[0]).as_str(), more[0].attempt), ("i:AC1:SM4", 1));
    ensure!(fetch_now(&mut *consumer).await?.is_empty(), "what was settled does not come again");
    let shards = raised.backlog().await?;
    assert_eq!((shards[0].messages, shards[0].limit_bytes), (5, 1 << 20));
    before["max_bytes"] = (1 << 20).into();
    before["max_age"] = 691_200_000_000_000_u64.into();
    assert_eq!(api(&server, "STREAM.INFO.IN_0", &json!({})).await?["config"], before);
    Ok(())
}

/// The server's configuration of the first shard's consumer.
async fn consumer(server: &NatsServer) -> Result<Value> {
    Ok(api(server, "CONSUMER.INFO.IN_0.work", &json!({})).await?["config"].take())
}

async fn put_consumer(server: &NatsServer, config: Value) -> Result<()> {
    let request = json!({ "stream_name": "IN_0", "config": config });
    api(server, "CONSUMER.CREATE.IN_0.work", &request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_a_consumer_gives_out_and_for_how_long_is_taken_over_at_once() -> Result<()> {
    let server = NatsServer::start().await?;
    let few = JetStreamConfig { max_ack_pending: 1, ..small(&server) };
    let stream = prepared(&few).await?;
    for n in 0..3 {
        stream.publish(&event(&format!("i:AC1:SM{n}")), 0).await?;
    }
    let mut workers = stream.consume(0).await?;
    let mut held = fetch(&mut *workers, 1).await?;
    ensure!(fetch_now(&mut *workers).await?.is_empty(), "one is out, and no more may be");
    let mut before = consumer(&server).await?;
    before["description"] = "ours".into();
    put_consumer(&server, before.clone()).await?;

    let config = JetStreamConfig { max_ack_pending: 512, ack_wait: Duration::from_secs(45), ..few };
    let raised = connect(&config).await?;
    let expected = ["IN_0", "IN_1"].map(|name| {
        [
            format!("consumer work of {name} max_ack_pending from 1 to 512"),
            format!("consumer work of {name} ack_wait from 30s to 45s"),
        ]
    });
    assert_eq!(raised.migrate().await?, expected.concat());
    ensure!(raised.migrate().await?.is_empty(), "there is nothing left to change");
    held.extend(fetch(&mut *workers, 2).await?);
    assert_eq!(held.iter().map(|delivery| delivery.attempt).collect::<Vec<_>>(), [1, 1, 1]);
    ack_all(held).await?;
    before["max_ack_pending"] = 512.into();
    before["ack_wait"] = 45_000_000_000_u64.into();
    assert_eq!(consumer(&server).await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_below_what_is_held_is_refused_and_no_shard_is_changed() -> Result<()> {
    let server = NatsServer::start().await?;
    let stream = prepared(&small(&server)).await?;
    for n in 0..3 {
        stream.publish(&event_of(&format!("i:AC1:SM{n}"), 4000), 1).await?;
    }
    let bytes = stream.backlog().await?[1].bytes;
    let lowered = connect(&JetStreamConfig { max_bytes: 10_000, ..small(&server) }).await?;
    let expected = [
        Difference::Limit("IN_0 has max_bytes 20000, configured is 10000".to_owned()),
        Difference::Other(format!(
            "IN_1 has max_bytes 20000, configured is 10000, less than the {bytes} bytes it holds"
        )),
    ];
    assert_eq!(drift(lowered.migrate().await)?, expected);
    let limits: Vec<_> = stream.backlog().await?.iter().map(|shard| shard.limit_bytes).collect();
    assert_eq!(limits, [SMALL, SMALL]);
    assert_eq!(fetch(&mut *stream.consume(1).await?, 3).await?.len(), 3);

    let tools = tools(&server).await?;
    tools.get_stream("IN_1").await?.purge().await?;
    assert_eq!(lowered.migrate().await?.len(), 2, "once there is room it may");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_that_would_drop_what_is_held_is_refused() -> Result<()> {
    let server = NatsServer::start().await?;
    // The server wants a window within the age.
    let config = JetStreamConfig { duplicate_window: Duration::from_secs(1), ..small(&server) };
    let stream = prepared(&config).await?;
    stream.publish(&event("i:AC1:SM1"), 0).await?;
    let of_age = |at: DateTime<Utc>| Utc::now() - at > TimeDelta::seconds(1);
    let is_old = async || stream.backlog().await.is_ok_and(|shards| shards[0].oldest_at.is_some_and(of_age));
    eventually("the event is older than a second", PATIENCE, is_old).await?;

    let shorter = connect(&JetStreamConfig { max_age: Duration::from_secs(1), ..config.clone() }).await?;
    let refused = Difference::joined(&drift(shorter.migrate().await)?);
    let why = "IN_0 has max_age 604800s, configured is 1s, which would drop its oldest event of";
    ensure!(refused.contains(why), "{refused}");
    assert_eq!(set_up(&tools(&server).await?, "IN_1").await?.max_age, config.max_age);
    assert_eq!(fetch(&mut *stream.consume(0).await?, 1).await?.len(), 1);

    let enough = connect(&JetStreamConfig { max_age: Duration::from_secs(3600), ..config }).await?;
    assert_eq!(enough.migrate().await?[0], "IN_0 max_age from 604800s to 3600s");
    assert_eq!(stream.backlog().await?[0].messages, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_differs_is_refused_as_before_and_then_no_limit_is_changed() -> Result<()> {
    let server = NatsServer::start().await?;
    prepared(&small(&server)).await?;
    let tools = tools(&server).await?;
    let raised = JetStreamConfig { max_bytes: 1 << 20, ..small(&server) };
    let refused = async |config: &JetStreamConfig, why: &str| {
        let refused = Difference::joined(&drift(connect(config).await?.migrate().await)?);
        ensure!(refused.contains("IN_0 has max_bytes 20000, configured is 1048576"), "{refused}");
        ensure!(refused.contains(why), "{refused}");
        assert_eq!(set_up(&tools, "IN_0").await?.max_bytes, 20_000);
        anyhow::Ok(())
    };
    let shared = consumer(&server).await?;
    let mut given_up = shared.clone();
    given_up["max_deliver"] = 5.into();
    put_consumer(&server, given_up).await?;
    refused(&raised, "consumer work of IN_0 has max_deliver 5, configured is -1").await?;
    put_consumer(&server, shared).await?;
    let longer = JetStreamConfig { duplicate_window: Duration::from_secs(1800), ..raised.clone() };
    refused(&longer, "IN_1 has duplicate_window 900s, configured is 1800s").await?;

    let ours = set_up(&tools, "IN_1").await?;
    tools.update_stream(Config { discard: DiscardPolicy::Old, ..ours.clone() }).await?;
    refused(&raised, "IN_1 has discard Old, configured is New").await?;
    tools.update_stream(ours).await?;

    // Of the directory's bucket nothing is changed: it has no limits of ours.
    let bucket = set_up(&tools, "KV_casewire_directory").await?;
    tools.update_stream(Config { max_bytes: 1 << 20, ..bucket }).await?;
    refused(&raised, "KV_casewire_directory has max_bytes 1048576, configured is -1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_prepares_changes_no_limit() -> Result<()> {
    let server = NatsServer::start().await?;
    prepared(&small(&server)).await?;
    let worker = connect(&JetStreamConfig { max_bytes: 1 << 20, ..small(&server) }).await?;
    let refused = worker.prepare().await.expect_err("refused");
    ensure!(matches!(refused, PrepareError::Drift(_)), "{refused}");
    assert_eq!(worker.backlog().await?[0].limit_bytes, SMALL);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_beyond_the_servers_own_is_refused_in_its_words() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bounded = format!("jetstream {{ store_dir: {:?}, max_file_store: 4MB }}", folder.path());
    let server = NatsServer::start_with(&bounded).await?;
    let stream = prepared(&small(&server)).await?;
    let raised = connect(&JetStreamConfig { max_bytes: 64 << 20, ..small(&server) }).await?;
    let refused = raised.migrate().await.expect_err("refused");
    ensure!(matches!(&refused, PrepareError::Refused(why) if why.contains("insufficient")), "{refused}");
    assert_eq!(stream.backlog().await?[0].limit_bytes, SMALL);
    Ok(())
}
