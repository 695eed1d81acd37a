//! From an event on the stream to a command. What cannot be read becomes a dead letter with its bytes.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use casewire_bus::{Delivery, Undecodable};
use casewire_domain::command::{Command, EventFacts};
use casewire_domain::{DedupeId, Event, EventKind};
use casewire_twilio::webhook;
use chrono::{DateTime, Utc};

/// The command an event asks for. Its wire form is made anew.
pub(crate) fn command(event: &Event) -> Command {
    command_of(event, casewire_bus::encode(event))
}

/// The command an event asks for; `raw` is its wire form. What the provider sent is foreign: should reading it panic, that
/// event alone is set aside, where otherwise it would end the process, come again, and end it again.
fn command_of(event: &Event, raw: Vec<u8>) -> Command {
    let facts = facts(event, raw);
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

/// The command a delivered event asks for.
pub(crate) fn delivered(delivery: &Delivery) -> Command {
    match &delivery.event {
        Ok(event) => command_of(event, delivery.raw.to_vec()),
        Err(bytes) => undecodable(bytes, Utc::now()),
    }
}

/// The command that keeps bytes which are no event. `now` stands in for the time nobody can read.
fn undecodable(bytes: &Undecodable, now: DateTime<Utc>) -> Command {
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
        Ok(event) => facts(event, delivery.raw.to_vec()),
        Err(bytes) => facts_of_bytes(bytes, Utc::now()),
    };
    Command::SetAside(facts, format!("it was delivered {most} times without being handled"))
}

/// The command an event's stored wire form asks for; `None` when it cannot be decoded.
pub(crate) fn stored(raw: &[u8]) -> Option<Command> {
    casewire_bus::decode(raw).ok().map(|event| command_of(&event, raw.to_vec()))
}

fn facts(event: &Event, raw: Vec<u8>) -> Arc<EventFacts> {
    Arc::new(EventFacts {
        dedupe_id: event.dedupe_id.clone(),
        kind: event.kind,
        line: event.line.clone(),
        received_at: event.received_at,
        raw,
        trace: event.trace.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use casewire_bus::{NotSettled, Settle};
    use casewire_domain::Source;

    use super::*;

    struct Untold;

    #[async_trait]
    impl Settle for Untold {
        async fn ack(self: Box<Self>) -> Result<(), NotSettled> {
            Ok(())
        }

        async fn retry(self: Box<Self>, _: Duration) -> Result<(), NotSettled> {
            Ok(())
        }

        async fn hold(&self) -> Result<(), NotSettled> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_kept_as_it_lay_in_the_stream_with_what_only_a_newer_version_understands() {
        let event = Event {
            dedupe_id: DedupeId::new("o:AC1:1").unwrap(),
            kind: EventKind::Other,
            source: Source::Webhook,
            line: "main".into(),
            method: "POST".into(),
            target: "/".into(),
            content_type: String::new(),
            body: Vec::new(),
            received_at: DateTime::UNIX_EPOCH,
            trace: None,
        };
        let of_a_newer_version = [casewire_bus::encode(&event), vec![0xf8, 0x07, 0x01]].concat();
        let delivery = Delivery::new(0, 1, 1, of_a_newer_version.clone().into(), None, Box::new(Untold));
        let Command::Record(facts) = delivered(&delivery) else { unreachable!("nothing is asked for") };
        assert_eq!(facts.raw, of_a_newer_version);
        let Some(Command::Record(replayed)) = stored(&facts.raw) else { unreachable!("it can be read") };
        assert_eq!(replayed.raw, of_a_newer_version);
    }

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
