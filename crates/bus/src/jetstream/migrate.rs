//! Brings the limits of streams that are there to what is configured. `casewire migrate` alone does: roles of two
//! configurations would change them back and forth.

use async_nats::jetstream::stream::Config as StreamConfig;

use super::JetStreamConfig;
use super::connection::{ApiError, Connection};
use super::drift::stream_drift;
use super::limits::{Found, Limit};
use super::prepare::{create, differences, inspect, shard_stream, stream_info};
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
        changed.extend(change(connection, &shard_stream(config, shard)).await?);
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
    let limits = Limit::all(wanted, &found);
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let changes: Vec<String> = limits.iter().map(|limit| limit.change(name)).collect();
    tracing::info!(event = "stream_limits", changes = changes.join(", "), "changing the limits of a stream");
    let mut whole = found.whole;
    limits.into_iter().for_each(|limit| limit.set(&mut whole));
    let answer: Result<Found, ApiError> = connection.api(format!("STREAM.UPDATE.{name}"), &whole).await;
    match answer {
        Ok(_) => Ok(changes),
        Err(ApiError::Unavailable) => Err(unanswered(connection, name).await),
        Err(error) => Err(error.into()),
    }
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
