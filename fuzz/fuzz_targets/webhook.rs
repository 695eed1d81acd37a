//! From a form body to the domain's words, as ingest and worker go: nothing panics, ids are well-formed, and what is
//! understood is what was sent.

#![no_main]

use casewire_domain::{DedupeId, Event, EventKind, Source};
use casewire_twilio::content::Content;
use casewire_twilio::webhook::{dedupe_id, inbound_text, is_message_sid, status_report};
use libfuzzer_sys::fuzz_target;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fuzz_target!(|raw: &[u8]| {
    let Some((choice, body)) = raw.split_first() else { return };
    let content_type = if choice & 1 == 0 { FORM } else { JSON };
    let kind = [EventKind::Message, EventKind::MessageStatus, EventKind::Other][usize::from(choice >> 1) % 3];
    let target = "/inbound/main/status/000000000000000000000000000000ab.3";
    let Ok(content) = Content::read("POST", target, content_type, body, 256) else { return };
    let id = dedupe_id(ACCOUNT, kind, "main", target, &content.parameters, body);
    assert_eq!(DedupeId::new(id.as_str()).as_ref(), Some(&id), "an id that the stream would refuse");
    let event = Event {
        dedupe_id: id.clone(),
        kind,
        source: Source::Webhook,
        line: "main".to_owned(),
        method: "POST".to_owned(),
        target: target.to_owned(),
        content_type: content_type.to_owned(),
        body: body.to_vec(),
        received_at: Default::default(),
        trace: Default::default(),
    };
    let get = |name: &str| content.parameters.get(name).unwrap_or_default().replace('\0', "\u{fffd}");
    if let Ok(text) = inbound_text(&event) {
        assert!(is_message_sid(&text.provider_sid));
        assert_eq!((text.from.as_str(), text.to.as_str()), (&*get("From"), &*get("To")));
        assert_eq!(text.body.reveal(), get("Body"));
        if kind == EventKind::Message {
            assert_eq!(id.as_str(), format!("i:{ACCOUNT}:{}", text.provider_sid));
        }
    }
    if let Ok(report) = status_report(&event) {
        assert!(is_message_sid(&report.provider_sid));
        assert!(report.ours.is_some_and(|(_, attempt)| attempt == 3));
    }
});
