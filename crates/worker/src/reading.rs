//! From an event on the stream to a command. What cannot be read becomes a dead letter with its bytes.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use casewire_bus::{Delivery, Undecodable};
use casewire_domain::command::{Command, EventFacts};
use casewire_domain::{DedupeId, Event, EventKind};
use casewire_twilio::webhook;
use chrono::{DateTime, Utc};

/// The command an event asks for. What the provider sent is foreign: should reading it panic, that event alone
/// is set aside, where otherwise it would end the process, come again, and end it again.
pub(crate) fn command(event: &Event) -> Command {
    let facts = facts(event);
    let read = catch_unwind(AssertUnwindSafe(|| read(event, facts.clone())));
    read.unwrap_or_else(|_| Command::SetAside(facts, "reading the event panicked".to_owned()))
}

fn read(event: &Event, facts: Arc<EventFacts>) -> Command {
    match event.kind {
        EventKind::Message => match webhook::inbound_text(event) {
            Ok(text) => Command::Text(facts, text),
            Err(unreadable) => Command::SetAside(facts, unreadable.to_string()),
        },
        EventKind::MessageStatus => match webhook::status_report(event) {
            Ok(report) => Command::Status(facts, report),
            Err(unreadable) => Command::SetAside(facts, unreadable.to_string()),
        },
        EventKind::Other => Command::Record(facts),
    }
}

/// The command that keeps bytes which are no event. `now` stands in for the time nobody can read.
pub(crate) fn undecodable(bytes: &Undecodable, now: DateTime<Utc>) -> Command {
    let reason = format!("the event cannot be decoded: {}", bytes.reason);
    Command::SetAside(facts_of_bytes(bytes, now), reason)
}

/// The command that what lies in a stream asks for.
pub(crate) fn kept(event: &Result<Event, Undecodable>, now: DateTime<Utc>) -> Command {
    match event {
        Ok(event) => command(event),
        Err(bytes) => undecodable(bytes, now),
    }
}

/// The id under which bytes that are no event are set aside.
pub(crate) fn id_of_bytes(bytes: &Undecodable) -> DedupeId {
    bytes.dedupe_id.clone().unwrap_or_else(|| DedupeId::of_content(&[&bytes.payload]))
}

fn facts_of_bytes(bytes: &Undecodable, now: DateTime<Utc>) -> Arc<EventFacts> {
    Arc::new(EventFacts {
        dedupe_id: id_of_bytes(bytes),
        kind: EventKind::Other,
        line: String::new(),
        received_at: now,
        raw: bytes.payload.clone(),
        trace: None,
    })
}

/// The command that sets an event aside with nothing done to it: it came so often that it may be what ends the process.
pub(crate) fn untouched(delivery: &Delivery, most: NonZeroU32) -> Command {
    let facts = match &delivery.event {
        Ok(event) => facts(event),
        Err(bytes) => facts_of_bytes(bytes, Utc::now()),
    };
    Command::SetAside(facts, format!("it was delivered {most} times without being handled"))
}

/// The command an event's stored wire form asks for; `None` when it cannot be decoded.
pub(crate) fn stored(raw: &[u8]) -> Option<Command> {
    casewire_bus::decode(raw).ok().map(|event| command(&event))
}

fn facts(event: &Event) -> Arc<EventFacts> {
    Arc::new(EventFacts {
        dedupe_id: event.dedupe_id.clone(),
        kind: event.kind,
        line: event.line.clone(),
        received_at: event.received_at,
        raw: casewire_bus::encode(event),
        trace: event.trace.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes on the stream that are no event.
    fn undecodable_under(dedupe_id: Option<&str>) -> Command {
        let payload = b"\xff no event".to_vec();
        let Err(reason) = casewire_bus::decode(&payload) else { unreachable!("it is no event") };
        let dedupe_id = dedupe_id.and_then(DedupeId::new);
        undecodable(&Undecodable { payload, dedupe_id, reason }, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn bytes_that_are_no_event_are_set_aside_whole_under_their_own_id_or_one_made_of_them() {
        let Command::SetAside(facts, reason) = undecodable_under(Some("i:AC1:SM1")) else { unreachable!() };
        assert_eq!((facts.dedupe_id.as_str(), facts.raw.as_slice()), ("i:AC1:SM1", &b"\xff no event"[..]));
        assert!(reason.starts_with("the event cannot be decoded"), "{reason}");
        let Command::SetAside(unnamed, _) = undecodable_under(None) else { unreachable!() };
        assert_eq!(unnamed.dedupe_id, DedupeId::of_content(&[b"\xff no event"]));
        assert_eq!(stored(&unnamed.raw), None, "nor can it be replayed");
    }
}
