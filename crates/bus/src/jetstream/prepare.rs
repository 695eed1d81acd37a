//! Creates streams, consumers and bucket, and holds what is there against what is configured.

use async_nats::jetstream::consumer::{
    AckPolicy, Config as ConsumerConfig, DeliverPolicy, Info as ConsumerInfo, ReplayPolicy,
};
use async_nats::jetstream::stream::{
    Config as StreamConfig, DiscardPolicy, Info as StreamInfo, RetentionPolicy, StorageType,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::connection::{ApiError, Connection};
use super::drift::{consumer_drift, consumer_of, stream_drift};
use super::limits::{Found, FoundConsumer};
use super::{CONSUMER, JetStreamConfig, stream_name};
use crate::{Difference, PrepareError};

/// Creates what is missing, reads everything back and refuses what differs, all differences at once.
pub(super) async fn prepare(connection: &Connection, config: &JetStreamConfig) -> Result<(), PrepareError> {
    create(connection, config).await?;
    inspect(connection, config).await
}

/// Creates what is missing, and does not look at how the rest is set up.
pub(super) async fn create(connection: &Connection, config: &JetStreamConfig) -> Result<(), PrepareError> {
    if !connection.wait_up(config.connect_timeout).await {
        return Err(PrepareError::Unavailable);
    }
    for shard in 0..config.shards.max(1) {
        create_stream(connection, &shard_stream(config, shard)).await?;
        create_consumer(connection, config, &stream_name(shard)).await?;
    }
    create_stream(connection, &bucket(config)).await
}

/// Reads everything back and refuses what is missing or differs; creates and changes nothing.
pub(super) async fn inspect(connection: &Connection, config: &JetStreamConfig) -> Result<(), PrepareError> {
    let drift = differences(connection, config).await?;
    if drift.is_empty() { Ok(()) } else { Err(PrepareError::Drift(drift)) }
}

/// All that is missing or differs.
pub(super) async fn differences(
    connection: &Connection,
    config: &JetStreamConfig,
) -> Result<Vec<Difference>, PrepareError> {
    if !connection.wait_up(config.connect_timeout).await {
        return Err(PrepareError::Unavailable);
    }
    let mut drift = Vec::new();
    let shards = config.shards.max(1);
    for shard in 0..shards {
        drift.extend(stream(connection, &shard_stream(config, shard)).await?);
        drift.extend(consumer(connection, config, &stream_name(shard)).await?);
    }
    drift.extend(stream(connection, &bucket(config)).await?);
    drift.extend(left_over(connection, shards).await?);
    Ok(drift)
}

/// When it is by the server's clock, where it tells: servers before 2.10 do not.
pub(super) async fn server_time(connection: &Connection) -> Result<Option<DateTime<Utc>>, PrepareError> {
    #[derive(Deserialize)]
    struct Told {
        ts: Option<DateTime<Utc>>,
    }
    match connection.api(format!("STREAM.INFO.{}", stream_name(0)), &json!({})).await {
        Ok(Told { ts }) => Ok(ts),
        Err(ApiError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The stream of a shard. Limits retention: a work queue forgets dedupe ids with every restart, and interest retention
/// acknowledges what it drops. It refuses when full: discarding the old would drop what nobody has handled.
pub(super) fn shard_stream(config: &JetStreamConfig, shard: u32) -> StreamConfig {
    StreamConfig {
        name: stream_name(shard),
        subjects: vec![format!("in.{shard}.>")],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        max_bytes: i64::try_from(config.max_bytes).unwrap_or(i64::MAX),
        max_age: config.max_age,
        max_message_size: i32::try_from(config.max_message_bytes).unwrap_or(i32::MAX),
        duplicate_window: config.duplicate_window,
        ..unbounded(config)
    }
}

/// The stream behind the directory's bucket: one value a key. By hand, since the library cannot create a bucket on 2.9.
fn bucket(config: &JetStreamConfig) -> StreamConfig {
    let bucket = &config.directory_bucket;
    StreamConfig {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        max_bytes: -1,
        max_message_size: -1,
        max_messages_per_subject: 1,
        duplicate_window: config.duplicate_window.min(DEFAULT_WINDOW),
        allow_rollup: true,
        allow_direct: true,
        deny_delete: true,
        ..unbounded(config)
    }
}

/// What the server makes of a window that is not given.
const DEFAULT_WINDOW: std::time::Duration = std::time::Duration::from_secs(120);

fn unbounded(config: &JetStreamConfig) -> StreamConfig {
    StreamConfig {
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        num_replicas: usize::try_from(config.replicas.max(1)).unwrap_or(usize::MAX),
        ..StreamConfig::default()
    }
}

/// The consumer that all workers share. Without a limit of deliveries: thirty seconds times five is a short outage of
/// a database, and then good mail would be dead.
pub(super) fn shared_consumer(config: &JetStreamConfig) -> ConsumerConfig {
    ConsumerConfig {
        durable_name: Some(CONSUMER.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.ack_wait,
        max_deliver: -1,
        max_ack_pending: i64::from(config.max_ack_pending),
        replay_policy: ReplayPolicy::Instant,
        ..ConsumerConfig::default()
    }
}

async fn create_stream(connection: &Connection, wanted: &StreamConfig) -> Result<(), PrepareError> {
    let name = &wanted.name;
    match stream_info(connection, name).await {
        Err(ApiError::NotFound) => {
            tracing::info!(stream = %name, "creating the stream");
            let created: Result<StreamInfo, _> =
                connection.api(format!("STREAM.CREATE.{name}"), wanted).await;
            match created {
                // Whoever creates one while somebody else does may be told that its subjects are taken.
                Err(ApiError::Refused(_)) if stream_info(connection, name).await.is_ok() => Ok(()),
                created => Ok(created.map(drop)?),
            }
        }
        info => Ok(info.map(drop)?),
    }
}

async fn stream(connection: &Connection, wanted: &StreamConfig) -> Result<Vec<Difference>, PrepareError> {
    match stream_info(connection, &wanted.name).await {
        Err(ApiError::NotFound) => Ok(vec![Difference::missing(&wanted.name)]),
        found => Ok(stream_drift(wanted, &found?)),
    }
}

pub(super) async fn stream_info(connection: &Connection, name: &str) -> Result<Found, ApiError> {
    connection.api(format!("STREAM.INFO.{name}"), &json!({})).await
}

async fn create_consumer(
    connection: &Connection,
    config: &JetStreamConfig,
    stream: &str,
) -> Result<(), PrepareError> {
    match consumer_info::<ConsumerInfo>(connection, stream).await {
        Err(ApiError::NotFound) => put_consumer(connection, stream, &json!(shared_consumer(config))).await,
        info => info.map(drop),
    }
    .map_err(PrepareError::from)
}

/// Makes a stream's shared consumer, or changes it.
pub(super) async fn put_consumer(
    connection: &Connection,
    stream: &str,
    config: &Value,
) -> Result<(), ApiError> {
    let request = json!({ "stream_name": stream, "config": config });
    let answer: Result<ConsumerInfo, _> =
        connection.api(format!("CONSUMER.CREATE.{stream}.{CONSUMER}"), &request).await;
    answer.map(drop)
}

async fn consumer(
    connection: &Connection,
    config: &JetStreamConfig,
    stream: &str,
) -> Result<Vec<Difference>, PrepareError> {
    match consumer_info::<FoundConsumer>(connection, stream).await {
        Err(ApiError::NotFound) => Ok(vec![Difference::missing(&consumer_of(stream))]),
        found => Ok(consumer_drift(stream, &shared_consumer(config), &found?.config)),
    }
}

/// What the server tells of a stream's shared consumer: all of it, or what of it is of interest.
pub(super) async fn consumer_info<T: DeserializeOwned>(
    connection: &Connection,
    stream: &str,
) -> Result<T, ApiError> {
    connection.api(format!("CONSUMER.INFO.{stream}.{CONSUMER}"), &json!({})).await
}

/// Streams of a time with more shards: nobody would work on what they still hold.
async fn left_over(connection: &Connection, shards: u32) -> Result<Vec<Difference>, PrepareError> {
    let mut left = Vec::new();
    for shard in shards.. {
        let name = stream_name(shard);
        let info: ConsumerInfo = match consumer_info(connection, &name).await {
            Err(ApiError::NotFound) => break,
            info => info?,
        };
        let waiting =
            info.num_pending.saturating_add(u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX));
        if waiting > 0 {
            left.push(Difference::Other(format!(
                "{name} holds {waiting} unfinished events, but only {shards} shards are configured"
            )));
        }
    }
    Ok(left)
}
