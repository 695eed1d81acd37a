//! Short ways to say what happens.

use casewire_domain::command::{Command, EventFacts, Reply};
use casewire_domain::{
    Address, CaseNumber, DedupeId, Event, EventKind, InboundText, Location, Region, Source, Text,
};
use casewire_twilio::parameters::Parameters;
use chrono::Utc;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const LINE: &str = "+15550001111";
pub(crate) const HEATHER: &str = "+12065550100";
pub(crate) const IAN: &str = "+12065550101";

/// A number as it is stored.
pub(crate) fn number(text: &str) -> Address {
    Address::parse(text, Region::US).unwrap_or_else(|_| Address::from_stored(text))
}

/// Somebody, one of many.
pub(crate) fn person(i: usize) -> String {
    format!("+1206556{i:04}")
}

/// A fresh provider id.
pub(crate) fn sid() -> String {
    format!("SM{}", uuid::Uuid::now_v7().simple())
}

fn event(kind: EventKind, line: &str, target: String, id: String, form: &[(&str, &str)]) -> Event {
    Event {
        dedupe_id: DedupeId::new(id).unwrap_or_else(|| DedupeId::of_content(&[target.as_bytes()])),
        kind,
        source: Source::Webhook,
        line: line.to_owned(),
        method: "POST".to_owned(),
        target,
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body: form.iter().copied().collect::<Parameters>().encode().into_bytes(),
        received_at: Utc::now(),
        trace: Default::default(),
    }
}

/// A text as ingest puts it on the stream.
pub(crate) fn text(line: &str, from: &str, body: &str) -> Event {
    let sid = sid();
    let id = format!("i:{ACCOUNT}:{sid}");
    let form = [("MessageSid", sid.as_str()), ("From", from), ("To", LINE), ("Body", body)];
    event(EventKind::Message, line, format!("/inbound/{line}"), id, &form)
}

/// A delivery status that does not name our message, as ingest puts it on the stream.
pub(crate) fn status(line: &str, sid: &str, status: &str) -> Event {
    let id = format!("s:{ACCOUNT}:{sid}:{status}:");
    let form = [("MessageSid", sid), ("MessageStatus", status)];
    event(EventKind::MessageStatus, line, format!("/inbound/{line}/status"), id, &form)
}

/// A text as a command.
pub(crate) fn texted(line: &str, from: &str, body: &str) -> Command {
    let sid = sid();
    let facts = EventFacts {
        dedupe_id: DedupeId::of_content(&[sid.as_bytes()]),
        kind: EventKind::Message,
        line: line.to_owned(),
        received_at: Utc::now(),
        raw: Vec::new(),
        trace: None,
    };
    let text = InboundText {
        provider_sid: sid,
        from: from.to_owned(),
        to: LINE.to_owned(),
        body: Text::new(body),
        media: Vec::new(),
        location: Location::default(),
        opt_out: None,
    };
    Command::Text(facts.into(), text)
}

/// An agent's reply.
pub(crate) fn reply(case: CaseNumber, body: &str) -> Command {
    Command::Reply(Reply {
        case,
        body: Text::new(body),
        author: "agent:test".to_owned(),
        idempotency_key: None,
        trace: None,
    })
}
