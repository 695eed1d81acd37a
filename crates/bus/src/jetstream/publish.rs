//! An event on its way to the server.

use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use casewire_domain::Event;
use serde::Deserialize;

use super::connection::{ConnectError, Connection};
use super::replies::{Replies, Reply};
use super::{JetStreamConfig, stream_name};
use crate::{PublishError, Published};

/// Pause before the one repetition of a publish that found its own id "in process" (error 10158).
const IN_PROCESS_PAUSE: Duration = Duration::from_millis(100);

/// The header of a trace, as W3C names it. It is for others' tools, where the trace can be looked up: casewire reads what
/// the event itself holds, and the server looks closer at each message that has it.
const TRACEPARENT: &str = "traceparent";

/// A connection that events go out over, and where their acknowledgements come in.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) connection: Connection,
    replies: Replies,
}

impl Publisher {
    /// Starts connecting, and goes on for ever in the background.
    pub(super) async fn start(config: &JetStreamConfig) -> Result<Self, ConnectError> {
        let connection = Connection::start(config, "casewire publish").await?;
        let replies = Replies::listen(&connection.client).await?;
        Ok(Self { connection, replies })
    }

    /// Publishes and waits for the acknowledgement, without a bound of its own.
    pub(super) async fn publish(&self, event: &Event, shard: u32) -> Result<Published, PublishError> {
        let payload = Bytes::from(casewire_proto::encode(event));
        let mut answer = self.send(event, shard, &payload).await?;
        if answer.is_in_process() {
            tokio::time::sleep(IN_PROCESS_PAUSE).await;
            answer = self.send(event, shard, &payload).await?;
        }
        answer.stored(&stream_name(shard))
    }

    /// What the server says of the event: on a used subject only what cannot be about an earlier one is believed, on a
    /// new subject everything.
    async fn send(&self, event: &Event, shard: u32, payload: &Bytes) -> Result<Answer, PublishError> {
        let stream = stream_name(shard);
        let mut reply = self.replies.expect(shard);
        let mut doubted = None;
        loop {
            let mut answer = self.ask(&mut reply, event, shard, payload.clone()).await?;
            let fresh = answer.is_fresh(&stream);
            if fresh && reply.is_behind_all(answer.sequence) {
                reply.was_stored(answer.sequence);
                return Ok(answer);
            }
            if reply.is_new() {
                // At the same place: the first answer was about this event after all, as where a stream was made anew.
                answer.duplicate &= doubted != Some(answer.sequence);
                return Ok(answer);
            }
            doubted = fresh.then_some(answer.sequence);
            reply = self.replies.expect_anew(shard);
        }
    }

    async fn ask(
        &self,
        reply: &mut Reply,
        event: &Event,
        shard: u32,
        payload: Bytes,
    ) -> Result<Answer, PublishError> {
        let subject = format!("in.{shard}.{}", event.kind.as_str());
        let client = &self.connection.client;
        let sent = client.publish_with_reply_and_headers(subject, reply.subject(), headers(event), payload);
        sent.await.map_err(|error| match error.kind() {
            PublishErrorKind::Send => PublishError::Unavailable,
            _ => PublishError::Rejected(error.to_string()),
        })?;
        Answer::read(&reply.answer().await.ok_or(PublishError::Unavailable)?)
    }
}

fn headers(event: &Event) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, event.dedupe_id.as_str());
    if let Some(trace) = event.trace.as_ref().filter(|trace| trace.is_sampled()) {
        headers.insert(TRACEPARENT, trace.as_str());
    }
    headers
}

/// What the server says of a publish: where the event is stored, or why it is not. The library's own type for both is
/// an untagged choice, for which serde copies the answer before it reads it.
#[derive(Deserialize)]
struct Answer {
    error: Option<jetstream::Error>,
    #[serde(default)]
    stream: String,
    #[serde(default, rename = "seq")]
    sequence: u64,
    #[serde(default)]
    duplicate: bool,
}

impl Answer {
    fn read(message: &Message) -> Result<Self, PublishError> {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            // No such stream, or no leader.
            return Err(PublishError::Unavailable);
        }
        serde_json::from_slice(&message.payload)
            .map_err(|_| PublishError::Rejected("the acknowledgement was not understood".to_owned()))
    }

    fn is_in_process(&self) -> bool {
        let code = self.error.as_ref().map(jetstream::Error::error_code);
        code == Some(ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT)
    }

    /// Whether it means that the event was stored in this stream just now.
    fn is_fresh(&self, stream: &str) -> bool {
        self.error.is_none() && self.stream == stream && self.sequence > 0 && !self.duplicate
    }

    /// Whether it means that the event is in its stream.
    fn stored(self, stream: &str) -> Result<Published, PublishError> {
        if let Some(said) = self.error {
            return Err(by_server(&said).unwrap_or_else(|| PublishError::Rejected(said.to_string())));
        }
        if self.stream != stream {
            return Err(PublishError::Rejected(format!(
                "stream {} took what was meant for {stream}",
                self.stream
            )));
        }
        if self.sequence == 0 {
            // A replicated 2.10 says "duplicate" of an event whose first publish failed: nothing is stored.
            return Err(PublishError::Unavailable);
        }
        Ok(Published { sequence: self.sequence, duplicate: self.duplicate })
    }
}

/// What is the matter with the server; nothing where it is the event. Room can be short for the stream, for all of an
/// account, or for the whole server.
fn by_server(said: &jetstream::Error) -> Option<PublishError> {
    match said.error_code() {
        ErrorCode::STREAM_STORE_FAILED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED => Some(PublishError::Full),
        ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT => Some(PublishError::Unavailable),
        _ => (said.code() >= 500).then_some(PublishError::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> Result<Published, PublishError> {
        serde_json::from_str::<Answer>(json).expect("an answer").stored("IN_0")
    }

    #[test]
    fn only_a_place_in_the_right_stream_means_stored() {
        let published = stored(r#"{"stream":"IN_0","seq":7,"duplicate":true}"#);
        assert_eq!(published, Ok(Published { sequence: 7, duplicate: true }));
        let never_stored = stored(r#"{"stream":"IN_0","seq":0,"duplicate":true}"#);
        assert_eq!(never_stored, Err(PublishError::Unavailable));
        for elsewhere in [r#"{"stream":"OTHER","seq":7}"#, "{}"] {
            assert!(matches!(stored(elsewhere), Err(PublishError::Rejected(_))), "{elsewhere}");
        }
    }

    #[test]
    fn the_servers_refusals_are_told_apart() {
        let refused = |error: &str| {
            let answer = format!(r#"{{"error":{error},"stream":"IN_0","seq":0}}"#);
            stored(&answer).expect_err("a refusal")
        };
        for full in [
            r#"{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}"#,
            r#"{"code":400,"err_code":10002,"description":"resource limits exceeded for account"}"#,
            r#"{"code":503,"err_code":10023,"description":"insufficient resources"}"#,
            r#"{"code":500,"err_code":10047,"description":"insufficient storage resources available"}"#,
            r#"{"code":500,"err_code":10028,"description":"insufficient memory resources available"}"#,
        ] {
            assert_eq!(refused(full), PublishError::Full, "{full}");
        }
        for away in [
            r#"{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}"#,
            r#"{"code":503,"err_code":10009,"description":"JetStream cluster not leader"}"#,
            r#"{"code":500,"err_code":10051,"description":"something went wrong"}"#,
        ] {
            assert_eq!(refused(away), PublishError::Unavailable, "{away}");
        }
        let in_process =
            r#"{"code":409,"err_code":10158,"description":"duplicate message id is in process"}"#;
        assert_eq!(refused(in_process), PublishError::Unavailable);
        let large = r#"{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}"#;
        assert!(matches!(refused(large), PublishError::Rejected(_)));
    }
}
