//! Reads a stream again, and trims it.
//!
//! Each reading has a consumer of its own, in memory, without acknowledgements, that starts where it is told: a server
//! hands out a thousand events in one answer where it would look up each of them by a request, and what is wrong with
//! the durable consumer's memory does not touch it.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::Info as ConsumerInfo;
use async_nats::jetstream::stream::PurgeResponse;
use async_nats::{StatusCode, Subscriber};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::{ApiError, Connection};
use super::consumer::dedupe_id;
use super::{CONSUMER, stream_name};
use crate::history::{Incarnation, ShardState, Start, Stored};
use crate::{ConsumeError, delivery};

/// After so long without a pull the server drops a reading's consumer by itself: this process died in between.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// Between two events of one answer. The server sends them in one go.
const SILENCE: Duration = Duration::from_secs(5);

/// What we read of a stream's state. Not the library's: its times are of another crate.
#[derive(Deserialize)]
struct StreamInfo {
    created: DateTime<Utc>,
    state: StreamState,
}

#[derive(Deserialize)]
struct StreamState {
    last_seq: u64,
}

pub(super) async fn state(connection: &Connection, shard: u32) -> Result<ShardState, ConsumeError> {
    let name = stream_name(shard);
    // The consumer first: what it is told to have settled is in the stream that is looked at afterwards.
    let consumer: ConsumerInfo =
        connection.api(format!("CONSUMER.INFO.{name}.{CONSUMER}"), &json!({})).await?;
    let stream: StreamInfo = connection.api(format!("STREAM.INFO.{name}"), &json!({})).await?;
    Ok(ShardState {
        incarnation: Incarnation { stream: name, created_at: stream.created },
        last_sequence: stream.state.last_seq,
        settled_through: consumer.ack_floor.stream_sequence,
        delivered_through: consumer.delivered.stream_sequence,
    })
}

pub(super) async fn read(
    connection: &Connection,
    shard: u32,
    from: Start,
    most: usize,
) -> Result<Vec<Stored>, ConsumeError> {
    let stream = stream_name(shard);
    let name = format!("read_{}", connection.client.new_inbox().replace(['.', '_'], ""));
    let config = reader(&name, from);
    let request = json!({ "stream_name": stream, "config": config });
    let _: ConsumerInfo = connection.api(format!("CONSUMER.CREATE.{stream}.{name}"), &request).await?;
    let events = pull(connection, &stream, &name, most).await;
    // Where this fails the server does it by itself, a little later.
    let gone: Result<Value, ApiError> =
        connection.api(format!("CONSUMER.DELETE.{stream}.{name}"), &json!({})).await;
    if let Err(error) = gone {
        tracing::debug!(?error, "a reading's consumer is left to the server");
    }
    events
}

fn reader(name: &str, from: Start) -> Value {
    let nanos = u64::try_from(FORGOTTEN_AFTER.as_nanos()).unwrap_or(u64::MAX);
    let mut config = json!({
        "name": name,
        "ack_policy": "none",
        "replay_policy": "instant",
        "max_deliver": -1,
        "mem_storage": true,
        "num_replicas": 1,
        "inactive_threshold": nanos,
    });
    match from {
        Start::At(sequence) => {
            config["deliver_policy"] = json!("by_start_sequence");
            config["opt_start_seq"] = json!(sequence.max(1));
        }
        Start::Since(time) => {
            config["deliver_policy"] = json!("by_start_time");
            config["opt_start_time"] = json!(time.to_rfc3339_opts(SecondsFormat::Nanos, true));
        }
    }
    config
}

async fn pull(
    connection: &Connection,
    stream: &str,
    consumer: &str,
    most: usize,
) -> Result<Vec<Stored>, ConsumeError> {
    let client = &connection.client;
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.map_err(|_| ConsumeError::Unavailable)?;
    let request = json!({ "batch": most.max(1), "no_wait": true }).to_string();
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
    let sent = client.publish_with_reply(subject, inbox, request.into()).await;
    sent.map_err(|_| ConsumeError::Unavailable)?;
    gather(connection, &mut replies, most.max(1)).await
}

/// All or nothing: half an answer could hide an event between those that came.
async fn gather(
    connection: &Connection,
    replies: &mut Subscriber,
    most: usize,
) -> Result<Vec<Stored>, ConsumeError> {
    let connects = connection.connects();
    let mut events = Vec::new();
    while events.len() < most {
        let reply = tokio::time::timeout(SILENCE, replies.next()).await;
        let Ok(Some(reply)) = reply else { return Err(ConsumeError::Unavailable) };
        if connection.connects() != connects {
            return Err(ConsumeError::Unavailable);
        }
        match reply.status {
            None | Some(StatusCode::OK) => {
                let message = Message { message: reply, context: connection.context.clone() };
                events.push(stored(&message, events.len() as u64 + 1)?);
            }
            // Nothing more is there.
            Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => break,
            Some(StatusCode::IDLE_HEARTBEAT) => {}
            Some(status) => {
                let why = reply.description.as_deref().unwrap_or_default();
                return Err(ConsumeError::Failed(format!("{status} {why}")));
            }
        }
    }
    Ok(events)
}

/// The event that a reading was handed as its `turn`th.
fn stored(message: &Message, turn: u64) -> Result<Stored, ConsumeError> {
    let told = message.info().ok().map(|info| Told {
        turn: info.consumer_sequence,
        sequence: info.stream_sequence,
        nanos: info.published.unix_timestamp_nanos(),
    });
    let (sequence, stored_at) = place(told, turn)?;
    let event = delivery::read(&message.payload, dedupe_id(message.headers.as_ref()));
    Ok(Stored { sequence, stored_at, event })
}

/// What comes with an event.
struct Told {
    /// Which it is of those that its consumer handed out.
    turn: u64,
    sequence: u64,
    nanos: i128,
}

/// Where an event is in its stream, and since when. A reading has its consumer to itself, which counts what it hands
/// out from one on: where the count is another, or not told, an event before this one did not arrive.
fn place(told: Option<Told>, turn: u64) -> Result<(u64, DateTime<Utc>), ConsumeError> {
    let failed = |why: &str| ConsumeError::Failed(why.to_owned());
    let told = told.ok_or_else(|| failed("an event without its place in the stream"))?;
    if told.turn != turn {
        return Err(failed("an event of the reading is missing"));
    }
    let nanos = i64::try_from(told.nanos);
    let stored_at = nanos.map_err(|_| failed("an event of no time that there is"))?;
    Ok((told.sequence, DateTime::from_timestamp_nanos(stored_at)))
}

pub(super) async fn purge(connection: &Connection, shard: u32, through: u64) -> Result<u64, ConsumeError> {
    if through == 0 {
        // "Keep from 1 on" would be read as "keep nothing".
        return Ok(0);
    }
    let stream = stream_name(shard);
    // The server keeps what is named and everything after it.
    let request = json!({ "seq": through.saturating_add(1) });
    let purged: PurgeResponse = connection.api(format!("STREAM.PURGE.{stream}"), &request).await?;
    Ok(purged.purged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_hole_in_it_is_no_answer() {
        let told = |turn, nanos| Some(Told { turn, sequence: 42, nanos });
        assert_eq!(place(told(3, 7), 3).ok(), Some((42, DateTime::from_timestamp_nanos(7))));
        for (hole, turn) in [(None, 1), (told(3, 7), 2), (told(1, 7), 2), (told(1, i128::MAX), 1)] {
            assert!(matches!(place(hole, turn), Err(ConsumeError::Failed(_))));
        }
    }
}
