//! Brings the limits of streams and consumers that are there to what is configured. `casewire migrate` alone does: roles
//! of two configurations would change them back and forth.

use async_nats::jetstream::consumer::Config as ConsumerConfig;
use async_nats::jetstream::stream::Config as StreamConfig;
use serde_json::Value;

use super::JetStreamConfig;
use super::connection::{ApiError, Connection};
use super::drift::{consumer_drift, consumer_of, stream_drift};
use super::limits::{Found, FoundConsumer, Limit};
use super::prepare::{
    consumer_info, create, differences, inspect, put_consumer, shard_stream, shared_consumer, stream_info,
};
use crate::{Difference, PrepareError};

/// Creates what is missing, and changes limits where nothing else differs anywhere; what it changed. What is set is
/// read back.
pub(super) async fn migrate(
    connection: &Connection,
    config: &JetStreamConfig,
) -> Result<Vec<String>, PrepareError> {
    create(connection, config).await?;
    refuse_all_but_limits(differences(connection, config).await?)?;
    let mut changed = Vec::new();
    for shard in 0..config.shards.max(1) {
        let stream = shard_stream(config, shard);
        changed.extend(change(connection, &stream).await?);
        changed.extend(change_consumer(connection, &stream.name, &shared_consumer(config)).await?);
    }
    inspect(connection, config).await?;
    Ok(changed)
}

fn refuse_all_but_limits(differences: Vec<Difference>) -> Result<(), PrepareError> {
    let limits = differences.iter().all(|difference| matches!(difference, Difference::Limit(_)));
    if limits { Ok(()) } else { Err(PrepareError::Drift(differences)) }
}

async fn change(connection: &Connection, wanted: &StreamConfig) -> Result<Vec<String>, PrepareError> {
    let name = &wanted.name;
    // Looked at again: the other streams have taken their time.
    let found = stream_info(connection, name).await?;
    refuse_all_but_limits(stream_drift(wanted, &found))?;
    let (limits, mut whole) = (Limit::all(wanted, &found), found.whole);
    let changes = set(limits, name, &mut whole);
    if changes.is_empty() {
        return Ok(changes);
    }
    let answer: Result<Found, ApiError> = connection.api(format!("STREAM.UPDATE.{name}"), &whole).await;
    match answer {
        Ok(_) => Ok(changes),
        Err(ApiError::Unavailable) => Err(unanswered(connection, name).await),
        Err(error) => Err(error.into()),
    }
}

async fn change_consumer(
    connection: &Connection,
    stream: &str,
    wanted: &ConsumerConfig,
) -> Result<Vec<String>, PrepareError> {
    let found: FoundConsumer = consumer_info(connection, stream).await?;
    refuse_all_but_limits(consumer_drift(stream, wanted, &found.config))?;
    let (limits, mut whole) = (Limit::of_consumer(wanted, &found.config), found.whole);
    let changes = set(limits, &consumer_of(stream), &mut whole);
    if !changes.is_empty() {
        put_consumer(connection, stream, &whole).await?;
    }
    Ok(changes)
}

/// Sets limits in a configuration of the server's; what that changes.
fn set(limits: Vec<Limit>, of: &str, whole: &mut Value) -> Vec<String> {
    let changes: Vec<String> = limits.iter().map(|limit| limit.change(of)).collect();
    if !changes.is_empty() {
        tracing::info!(event = "stream_limits", changes = changes.join(", "), "changing limits");
    }
    limits.into_iter().for_each(|limit| limit.set(whole));
    changes
}

/// Whoever may not ask gets no answer, like one whose server is away: but that tells nothing of the stream either.
async fn unanswered(connection: &Connection, name: &str) -> PrepareError {
    match stream_info(connection, name).await {
        Ok(_) => PrepareError::Refused(format!(
            "the server tells of {name} and does not answer $JS.API.STREAM.UPDATE.{name}: may this user publish there?"
        )),
        Err(error) => error.into(),
    }
}
