//! Events to bytes and back.

use std::fmt;

use casewire_domain::{DedupeId, Event, EventKind, Source, TraceParent};
use chrono::{DateTime, Utc};
use prost::Message;
use prost_types::Timestamp;

use crate::v1;

/// The one field of a trace context that we send.
const TRACEPARENT: &str = "traceparent";

/// Why bytes are no event. Always final: the same bytes will not decode another time, though a later version
/// may know them. None of the reasons repeats what was in the bytes, which is what people wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not a message of the contract at all.
    #[error("the payload is not a casewire.v1.Event")]
    NotAnEvent,
    /// The dedupe id is empty, too long or not printable ASCII.
    #[error("the event has no usable dedupe id")]
    DedupeId,
    /// A kind this version does not know; a newer one may have sent it.
    #[error("the event is of kind {0}, which this version does not know")]
    Kind(i32),
    /// A source this version does not know; a newer one may have sent it.
    #[error("the event is of source {0}, which this version does not know")]
    Source(i32),
    /// The time of arrival is missing or no time.
    #[error("the event has no usable time of arrival")]
    ReceivedAt,
}

/// The bytes that stand for an event on the stream.
pub fn encode(event: &Event) -> Vec<u8> {
    v1::Event::from(event).encode_to_vec()
}

/// The event these bytes stand for.
pub fn decode(payload: &[u8]) -> Result<Event, Unreadable> {
    v1::Event::decode(payload).map_err(|_| Unreadable::NotAnEvent)?.try_into()
}

impl From<&Event> for v1::Event {
    fn from(event: &Event) -> Self {
        Self {
            dedupe_id: event.dedupe_id.as_str().to_owned(),
            kind: kind_on_the_wire(event.kind).into(),
            source: source_on_the_wire(event.source).into(),
            line: event.line.clone(),
            method: event.method.clone(),
            target: event.target.clone(),
            content_type: event.content_type.clone(),
            body: event.body.clone(),
            received_at: Some(timestamp(event.received_at)),
            trace: event
                .trace
                .iter()
                .map(|trace| (TRACEPARENT.to_owned(), trace.as_str().to_owned()))
                .collect(),
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = Unreadable;

    fn try_from(mut event: v1::Event) -> Result<Self, Unreadable> {
        Ok(Self {
            kind: kind(event.kind)?,
            source: source(event.source)?,
            dedupe_id: DedupeId::new(event.dedupe_id).ok_or(Unreadable::DedupeId)?,
            line: event.line,
            method: event.method,
            target: event.target,
            content_type: event.content_type,
            body: event.body,
            received_at: event.received_at.and_then(time).ok_or(Unreadable::ReceivedAt)?,
            trace: event.trace.remove(TRACEPARENT).and_then(TraceParent::parse),
        })
    }
}

fn kind_on_the_wire(kind: EventKind) -> v1::EventKind {
    match kind {
        EventKind::Message => v1::EventKind::Message,
        EventKind::MessageStatus => v1::EventKind::MessageStatus,
        EventKind::Other => v1::EventKind::Other,
    }
}

fn kind(number: i32) -> Result<EventKind, Unreadable> {
    match v1::EventKind::try_from(number) {
        Ok(v1::EventKind::Message) => Ok(EventKind::Message),
        Ok(v1::EventKind::MessageStatus) => Ok(EventKind::MessageStatus),
        Ok(v1::EventKind::Other) => Ok(EventKind::Other),
        Ok(v1::EventKind::Unspecified) | Err(_) => Err(Unreadable::Kind(number)),
    }
}

fn source_on_the_wire(source: Source) -> v1::EventSource {
    match source {
        Source::Webhook => v1::EventSource::Webhook,
        Source::Spill => v1::EventSource::Spill,
        Source::List => v1::EventSource::List,
    }
}

fn source(number: i32) -> Result<Source, Unreadable> {
    match v1::EventSource::try_from(number) {
        Ok(v1::EventSource::Webhook) => Ok(Source::Webhook),
        Ok(v1::EventSource::Spill) => Ok(Source::Spill),
        Ok(v1::EventSource::List) => Ok(Source::List),
        Ok(v1::EventSource::Unspecified) | Err(_) => Err(Unreadable::Source(number)),
    }
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    // Beyond 999,999,999 only within a leap second, which the contract does not know.
    let nanos = time.timestamp_subsec_nanos().min(999_999_999);
    Timestamp { seconds: time.timestamp(), nanos: i32::try_from(nanos).unwrap_or_default() }
}

fn time(timestamp: Timestamp) -> Option<DateTime<Utc>> {
    // The contract ends at 999,999,999; chrono would take more for a leap second, which cannot be written back.
    let nanos = u32::try_from(timestamp.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    DateTime::from_timestamp(timestamp.seconds, nanos)
}

/// Leaves out what people wrote, as [`Event`]'s own does.
impl fmt::Debug for v1::Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("v1::Event").field("dedupe_id", &self.dedupe_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = Event> {
        let kinds =
            prop_oneof![Just(EventKind::Message), Just(EventKind::MessageStatus), Just(EventKind::Other)];
        let sources = prop_oneof![Just(Source::Webhook), Just(Source::Spill), Just(Source::List)];
        let words = ("[!-~]{1,200}", any::<String>(), any::<String>(), any::<String>(), any::<String>());
        let trace = prop::option::of("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]");
        let time = (-62_135_596_800_i64..253_402_300_800, 0_u32..1_000_000_000);
        (kinds, sources, words, prop::collection::vec(any::<u8>(), 0..4000), trace, time).prop_filter_map(
            "a time chrono can hold",
            |(kind, source, (id, line, method, target, content_type), body, trace, (seconds, nanos))| {
                let (dedupe_id, received_at) =
                    (DedupeId::new(id)?, DateTime::from_timestamp(seconds, nanos)?);
                Some(Event {
                    dedupe_id,
                    kind,
                    source,
                    line,
                    method,
                    target,
                    content_type,
                    body,
                    received_at,
                    trace: trace.and_then(TraceParent::parse),
                })
            },
        )
    }

    proptest! {
        #[test]
        fn an_event_comes_back_as_it_was_sent(event in any_event()) {
            prop_assert_eq!(decode(&encode(&event)), Ok(event));
        }

        #[test]
        fn any_bytes_are_an_event_or_an_error_but_never_a_crash(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let _ = decode(&bytes);
        }
    }

    fn on_the_wire() -> v1::Event {
        v1::Event {
            dedupe_id: "i:AC1:SM1".into(),
            kind: v1::EventKind::Message.into(),
            source: v1::EventSource::Webhook.into(),
            received_at: Some(Timestamp { seconds: 1, nanos: 0 }),
            ..Default::default()
        }
    }

    #[test]
    fn an_event_of_a_newer_kind_or_source_is_refused_not_guessed() {
        let kind = v1::Event { kind: 7, ..on_the_wire() };
        assert_eq!(Event::try_from(kind), Err(Unreadable::Kind(7)));
        let source = v1::Event { source: 0, ..on_the_wire() };
        assert_eq!(Event::try_from(source), Err(Unreadable::Source(0)));
    }

    #[test]
    fn an_event_without_an_id_or_a_time_is_refused() {
        let id = v1::Event { dedupe_id: String::new(), ..on_the_wire() };
        assert_eq!(Event::try_from(id), Err(Unreadable::DedupeId));
        let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
        // The last would be a leap second to chrono: it would not be the same once written again.
        for received_at in [None, at(0, -1), at(i64::MAX, 0), at(-1, 1_500_000_000)] {
            let event = v1::Event { received_at, ..on_the_wire() };
            assert_eq!(Event::try_from(event), Err(Unreadable::ReceivedAt));
        }
    }

    #[test]
    fn a_field_added_later_does_not_hinder_an_older_reader() {
        let mut bytes = on_the_wire().encode_to_vec();
        bytes.extend([0xA2, 0x06, 0x02, b'h', b'i']); // field 100, a string
        assert!(decode(&bytes).is_ok());
    }

    #[test]
    fn what_people_wrote_is_not_in_the_debug_form() {
        let event =
            v1::Event { body: b"Body=secret".to_vec(), target: "/?Body=secret".into(), ..on_the_wire() };
        assert_eq!(format!("{event:?}"), r#"v1::Event { dedupe_id: "i:AC1:SM1", .. }"#);
    }
}
