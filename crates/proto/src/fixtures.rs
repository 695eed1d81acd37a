//! Events as earlier versions wrote them. They lie in databases and on streams: they must decode for ever.

use casewire_domain::{DedupeId, Event, EventKind, Source, TraceParent};
use chrono::{DateTime, Utc};

use crate::{Unreadable, decode};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// A text with all there is: emoji, a repeated and an empty parameter, trace context.
fn text() -> Event {
    Event {
        dedupe_id: DedupeId::new("i:AC00000000000000000000000000000001:SM00000000000000000000000000000001")
            .expect("an id"),
        kind: EventKind::Message,
        source: Source::Webhook,
        line: "demo".into(),
        method: "POST".into(),
        target: "/inbound/demo".into(),
        content_type: "application/x-www-form-urlencoded; charset=utf-8".into(),
        body:
            b"MessageSid=SM00000000000000000000000000000001&From=%2B12065550100&To=%2B12065550199\
            &Body=my+heater+is+broken+%F0%9F%A5%B6&NumMedia=0&FromCity=SEATTLE&FromState=WA&Body=twice&Empty="
                .to_vec(),
        received_at: at("2026-11-20T15:23:00.123456789Z"),
        // With a `tracestate` beside it, which is not ours and is left out.
        trace: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    }
}

/// A delivery callback that waited in the spill.
fn status() -> Event {
    Event {
        dedupe_id: DedupeId::new(
            "s:AC00000000000000000000000000000001:SM00000000000000000000000000000002:undelivered:30003",
        )
        .expect("an id"),
        kind: EventKind::MessageStatus,
        source: Source::Spill,
        line: "demo".into(),
        method: "POST".into(),
        target: "/inbound/demo/status/0198a1b2c3d47e5f8a9b0c1d2e3f4a5b.1".into(),
        content_type: "application/x-www-form-urlencoded".into(),
        body: b"MessageSid=SM00000000000000000000000000000002&MessageStatus=undelivered&ErrorCode=30003"
            .to_vec(),
        received_at: at("2026-11-20T15:23:01Z"),
        trace: None,
    }
}

/// A request without a body, of a kind nothing acts on.
fn other() -> Event {
    Event {
        dedupe_id: DedupeId::new("h:5d41402abc4b2a76b9719d911017c592").expect("an id"),
        kind: EventKind::Other,
        source: Source::Webhook,
        line: "demo".into(),
        method: "GET".into(),
        target: "/inbound/demo?From=%2B12065550100".into(),
        content_type: String::new(),
        body: Vec::new(),
        received_at: at("1969-12-31T23:59:59.5Z"),
        trace: None,
    }
}

/// A text that no webhook brought.
fn listed() -> Event {
    Event {
        dedupe_id: DedupeId::new("i:AC00000000000000000000000000000001:MM00000000000000000000000000000003")
            .expect("an id"),
        kind: EventKind::Message,
        source: Source::List,
        line: "demo".into(),
        method: "POST".into(),
        target: "/inbound/demo".into(),
        content_type: "application/x-www-form-urlencoded".into(),
        body: b"MessageSid=MM00000000000000000000000000000003&From=%2B12065550100&To=%2B12065550199&Body="
            .to_vec(),
        received_at: at("2026-11-20T15:23:02Z"),
        trace: None,
    }
}

#[test]
fn events_of_every_earlier_version_still_decode() {
    let fixtures: [(&[u8], Event); 4] = [
        (include_bytes!("../fixtures/0.1.0-text.bin"), text()),
        (include_bytes!("../fixtures/0.1.0-status.bin"), status()),
        (include_bytes!("../fixtures/0.1.0-other.bin"), other()),
        (include_bytes!("../fixtures/0.2.0-listed.bin"), listed()),
    ];
    for (bytes, event) in fixtures {
        assert_eq!(decode(bytes), Ok(event));
    }
}

#[test]
fn half_an_event_is_not_an_event() {
    let bytes = include_bytes!("../fixtures/0.1.0-text.bin");
    assert_eq!(decode(&bytes[..bytes.len() / 2]), Err(Unreadable::NotAnEvent));
}
