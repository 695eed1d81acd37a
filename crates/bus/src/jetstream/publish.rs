//! An event on its way to the server.

use std::error::Error as _;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError as Refusal, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, ErrorCode, message::PublishMessage};
use casewire_domain::Event;

use super::connection::Connection;
use super::stream_name;
use crate::{PublishError, Published};

/// Pause before the one repetition of a publish that found its own id "in process" (error 10158).
const IN_PROCESS_PAUSE: Duration = Duration::from_millis(100);

/// The header of a trace, as W3C names it. It is for others' tools, where the trace can be looked up: casewire reads what
/// the event itself holds, and the server looks closer at each message that has it.
const TRACEPARENT: &str = "traceparent";

/// Publishes and waits for the acknowledgement, without a bound of its own.
pub(super) async fn publish(
    connection: &Connection,
    event: &Event,
    shard: u32,
) -> Result<Published, PublishError> {
    let subject = format!("in.{shard}.{}", event.kind.as_str());
    let stream = stream_name(shard);
    let mut answer = send(connection, &subject, message(event)).await;
    if matches!(&answer, Err(refusal) if in_process(refusal)) {
        tokio::time::sleep(IN_PROCESS_PAUSE).await;
        answer = send(connection, &subject, message(event)).await;
    }
    stored(&stream, &answer.map_err(|refusal| error(&refusal))?)
}

async fn send(
    connection: &Connection,
    subject: &str,
    message: PublishMessage,
) -> Result<PublishAck, Refusal> {
    connection.context.send_publish(subject.to_owned(), message).await?.await
}

fn message(event: &Event) -> PublishMessage {
    let message = PublishMessage::build()
        .payload(casewire_proto::encode(event).into())
        .message_id(event.dedupe_id.as_str());
    match event.trace.as_ref().filter(|trace| trace.is_sampled()) {
        Some(trace) => message.header(TRACEPARENT, trace.as_str()),
        None => message,
    }
}

/// Whether the acknowledgement means that the event is in its stream.
fn stored(stream: &str, ack: &PublishAck) -> Result<Published, PublishError> {
    if ack.stream != stream {
        return Err(PublishError::Rejected(format!(
            "stream {} took what was meant for {stream}",
            ack.stream
        )));
    }
    if ack.sequence == 0 {
        // A replicated 2.10 says "duplicate" of an event whose first publish failed: nothing is stored.
        return Err(PublishError::Unavailable);
    }
    Ok(Published { sequence: ack.sequence, duplicate: ack.duplicate })
}

fn in_process(refusal: &Refusal) -> bool {
    said(refusal).is_some_and(|said| said.error_code() == ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT)
}

/// What the server said, where it said something.
fn said(refusal: &Refusal) -> Option<&jetstream::Error> {
    refusal.source()?.downcast_ref()
}

fn error(refusal: &Refusal) -> PublishError {
    if let Some(said) = said(refusal) {
        return by_server(said).unwrap_or_else(|| PublishError::Rejected(refusal.to_string()));
    }
    match refusal.kind() {
        PublishErrorKind::TimedOut => PublishError::Timeout,
        // No such stream, or no leader; the connection ended; too much in flight.
        PublishErrorKind::StreamNotFound | PublishErrorKind::BrokenPipe | PublishErrorKind::MaxAckPending => {
            PublishError::Unavailable
        }
        _ => PublishError::Rejected(refusal.to_string()),
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

    fn ack(json: &str) -> PublishAck {
        serde_json::from_str(json).expect("an acknowledgement")
    }

    fn refused(json: &str) -> PublishError {
        let source: jetstream::Error = serde_json::from_str(json).expect("an error");
        error(&Refusal::with_source(PublishErrorKind::Other, source))
    }

    #[test]
    fn only_a_place_in_the_right_stream_means_stored() {
        let published = stored("IN_0", &ack(r#"{"stream":"IN_0","seq":7,"duplicate":true}"#));
        assert_eq!(published, Ok(Published { sequence: 7, duplicate: true }));
        let never_stored = stored("IN_0", &ack(r#"{"stream":"IN_0","seq":0,"duplicate":true}"#));
        assert_eq!(never_stored, Err(PublishError::Unavailable));
        let elsewhere = stored("IN_0", &ack(r#"{"stream":"OTHER","seq":7}"#));
        assert!(matches!(elsewhere, Err(PublishError::Rejected(_))));
    }

    #[test]
    fn the_servers_refusals_are_told_apart() {
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
