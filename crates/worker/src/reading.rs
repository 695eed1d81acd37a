//! From an event on the stream to a command. What cannot be read becomes a dead letter with its bytes.

use casewire_bus::Undecodable;
use casewire_domain::command::{Command, EventFacts};
use casewire_domain::{DedupeId, Event, EventKind};
use casewire_twilio::webhook;
use chrono::{DateTime, Utc};

/// The command an event asks for.
pub(crate) fn command(event: &Event) -> Command {
    let facts = facts(event);
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
    let facts = EventFacts {
        dedupe_id: bytes.dedupe_id.clone().unwrap_or_else(|| DedupeId::of_content(&[&bytes.payload])),
        kind: EventKind::Other,
        line: String::new(),
        received_at: now,
        raw: bytes.payload.clone(),
    };
    Command::SetAside(facts, format!("the event cannot be decoded: {}", bytes.reason))
}

/// The command an event's stored wire form asks for; `None` when it cannot be decoded.
pub(crate) fn stored(raw: &[u8]) -> Option<Command> {
    casewire_bus::decode(raw).ok().map(|event| command(&event))
}

fn facts(event: &Event) -> EventFacts {
    EventFacts {
        dedupe_id: event.dedupe_id.clone(),
        kind: event.kind,
        line: event.line.clone(),
        received_at: event.received_at,
        raw: casewire_bus::encode(event),
    }
}
