//! Under which id a webhook has its effect once, and whose lane it goes in. Ingest asks for both before
//! anybody has understood the event.

use casewire_domain::{DedupeId, EventKind};

use super::sid::message_sid;
use crate::parameters::Parameters;

/// The id of a webhook's effect.
///
/// `i:<account>:<MessageSid>` for a text: its retry, its fallback call and a replay all bear the same one.
/// `s:<account>:<MessageSid>:<status>:<error>` for a delivery status. Where these are missing or malformed,
/// and for every other kind, `h:` and the SHA-256 of line, target and body: the same request is the same
/// event, and whoever reads it decides.
///
/// `line` is the line's webhook id, `target` and `body` are raw.
pub fn dedupe_id(
    account_sid: &str,
    kind: EventKind,
    line: &str,
    target: &str,
    parameters: &Parameters,
    body: &[u8],
) -> DedupeId {
    let named = match kind {
        EventKind::Message => message_sid(parameters).ok().map(|sid| ["i:", account_sid, ":", sid].concat()),
        EventKind::MessageStatus => status_key(parameters).map(|key| format!("s:{account_sid}:{key}")),
        EventKind::Other => None,
    };
    let of_content = || DedupeId::of_content(&[line.as_bytes(), target.as_bytes(), body]);
    named.and_then(DedupeId::new).unwrap_or_else(of_content)
}

/// `<MessageSid>:<status>:<error>`, where each is of the form it should be.
fn status_key(parameters: &Parameters) -> Option<String> {
    let sid = message_sid(parameters).ok()?;
    let status = status_name(parameters)?;
    let error = parameters.filled("ErrorCode").unwrap_or_default();
    let status_is_a_word = status.len() <= 32 && status.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let error_is_a_number = error.len() <= 10 && error.bytes().all(|b| b.is_ascii_digit());
    (status_is_a_word && error_is_a_number).then(|| format!("{sid}:{status}:{error}"))
}

/// What a delivery callback calls the status; `SmsStatus` is the older name.
pub(super) fn status_name(parameters: &Parameters) -> Option<&str> {
    parameters.filled("MessageStatus").or_else(|| parameters.filled("SmsStatus"))
}

/// The customer's side of a webhook, as sent: who wrote, or whom a status is about. It is only ever hashed,
/// to put a conversation's events in one lane.
pub fn peer(kind: EventKind, parameters: &Parameters) -> Option<&str> {
    match kind {
        EventKind::Message => parameters.filled("From"),
        EventKind::MessageStatus => parameters.filled("To"),
        EventKind::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "SM0123456789abcdef0123456789abcdef";

    fn id(kind: EventKind, target: &str, body: &str) -> String {
        let parameters = Parameters::parse(body.as_bytes(), 99).unwrap_or_default();
        dedupe_id("AC1", kind, "main", target, &parameters, body.as_bytes()).to_string()
    }

    #[test]
    fn a_text_is_named_by_its_sid_whatever_else_is_sent() {
        let first = id(EventKind::Message, "/inbound/main", &format!("MessageSid={SID}&Body=hi"));
        let fallback = id(
            EventKind::Message,
            "/inbound/main?again",
            &format!("ErrorCode=11200&MessageSid={SID}&Body=hi&New=1"),
        );
        assert_eq!(first, format!("i:AC1:{SID}"));
        assert_eq!(fallback, first);
    }

    #[test]
    fn a_status_is_named_by_sid_status_and_error() {
        let status = |rest: &str| id(EventKind::MessageStatus, "/s", &format!("MessageSid={SID}{rest}"));
        assert_eq!(status("&MessageStatus=sent"), format!("s:AC1:{SID}:sent:"));
        assert_eq!(status("&SmsStatus=sent&ErrorCode="), format!("s:AC1:{SID}:sent:"));
        assert_eq!(status("&MessageStatus=failed&ErrorCode=30003"), format!("s:AC1:{SID}:failed:30003"));
    }

    #[test]
    fn what_has_no_usable_name_is_named_by_its_content() {
        for (kind, body) in [
            (EventKind::Message, "Body=hi"),
            (EventKind::Message, "MessageSid=SM1:x&Body=hi"),
            (EventKind::MessageStatus, "MessageSid=SM0123456789abcdef0123456789abcdef"),
            (EventKind::MessageStatus, "MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=a:b"),
            (EventKind::Other, "MessageSid=SM0123456789abcdef0123456789abcdef"),
        ] {
            let named = id(kind, "/inbound/main", body);
            assert!(named.starts_with("h:") && named.len() == 66, "{named}");
            assert_eq!(named, id(kind, "/inbound/main", body));
            assert_ne!(named, id(kind, "/inbound/main?x", body));
        }
    }

    #[test]
    fn the_peer_is_who_wrote_or_whom_the_status_is_about() {
        let both: Parameters = [("From", "a"), ("To", "b")].into_iter().collect();
        assert_eq!(peer(EventKind::Message, &both), Some("a"));
        assert_eq!(peer(EventKind::MessageStatus, &both), Some("b"));
        assert_eq!(peer(EventKind::Message, &Parameters::default()), None);
    }
}
