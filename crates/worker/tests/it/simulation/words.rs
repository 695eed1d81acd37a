//! What travels in the simulation.

use casewire_domain::{DedupeId, DeliveryStatus, Event, EventKind, Source};
use casewire_twilio::parameters::Parameters;
use chrono::{DateTime, Utc};

use crate::words::{ACCOUNT, LINE};

pub(crate) fn outbound_sid(number: u64) -> String {
    format!("SM{number:032x}")
}

pub(crate) fn inbound_sid(number: u64) -> String {
    format!("SM{:032x}", (1_u128 << 100) + u128::from(number))
}

fn event(kind: EventKind, target: &str, id: String, form: &[(&str, &str)], at: DateTime<Utc>) -> Event {
    Event {
        dedupe_id: DedupeId::new(id).unwrap(),
        kind,
        source: Source::Webhook,
        line: "main".to_owned(),
        method: "POST".to_owned(),
        target: target.to_owned(),
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body: form.iter().copied().collect::<Parameters>().encode().into_bytes(),
        received_at: at,
        trace: Default::default(),
    }
}

pub(crate) fn text(sid: &str, from: &str, body: &str, at: DateTime<Utc>) -> Event {
    let form = [("MessageSid", sid), ("From", from), ("To", LINE), ("Body", body)];
    event(EventKind::Message, "/inbound/main", format!("i:{ACCOUNT}:{sid}"), &form, at)
}

/// A text that nobody can read.
pub(crate) fn garbled(sid: &str, at: DateTime<Utc>) -> Event {
    let mut event = text(sid, LINE, "", at);
    event.body = b"Body=%ff".to_vec();
    event
}

/// A delivery callback, on the path we gave or on another.
pub(crate) fn callback(sid: &str, target: Option<&str>, status: DeliveryStatus, at: DateTime<Utc>) -> Event {
    let id = format!("s:{ACCOUNT}:{sid}:{}:", status.as_str());
    let form = [("MessageSid", sid), ("MessageStatus", status.as_str())];
    event(EventKind::MessageStatus, target.unwrap_or("/inbound/main/status"), id, &form, at)
}
