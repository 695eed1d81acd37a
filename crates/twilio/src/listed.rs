//! From the provider's list to the webhooks that should have told of it. What is found on the list goes the way of
//! every webhook: the same ids, the same parser, the same raw form to replay.

use casewire_domain::{Event, EventKind, Media, Source};
use chrono::{DateTime, Utc};

use crate::parameters::Parameters;
use crate::rest::Message;
use crate::webhook::{dedupe_id, message_path};

/// The webhook of a customer's text, under the id that webhook has. The list tells less than it: where the sender's
/// number is from, and what an opt-out word was to the provider, are missing.
///
/// It counts as received when the provider had it; a list without that time is read `now`.
pub fn inbound_event(
    account_sid: &str,
    line: &str,
    message: &Message,
    media: &[Media],
    now: DateTime<Utc>,
) -> Event {
    let mut told = Parameters::default();
    told.push("MessageSid", &message.sid);
    told.push("SmsSid", &message.sid);
    told.push("SmsMessageSid", &message.sid);
    told.push("AccountSid", account_sid);
    addresses(&mut told, message);
    told.push("Body", message.body.reveal());
    told.push("NumMedia", &message.media.to_string());
    for (n, file) in media.iter().enumerate() {
        told.push(&format!("MediaUrl{n}"), &file.url);
        told.push(&format!("MediaContentType{n}"), &file.content_type);
    }
    event(EventKind::Message, account_sid, line, message_path(line), &told, when(message, now))
}

/// The callback that tells how far one of our texts has come; `None` where the list says nothing of it.
///
/// It counts as received when the text was sent, not `now`: what it implies of the recipient (an opt-out) was so then.
pub fn status_event(account_sid: &str, line: &str, message: &Message, now: DateTime<Utc>) -> Option<Event> {
    let mut told = Parameters::default();
    told.push("MessageSid", &message.sid);
    told.push("SmsSid", &message.sid);
    told.push("AccountSid", account_sid);
    addresses(&mut told, message);
    told.push("MessageStatus", message.status?.as_str());
    if let Some(code) = message.error_code {
        told.push("ErrorCode", &code.to_string());
    }
    let target = format!("{}/status", message_path(line));
    Some(event(EventKind::MessageStatus, account_sid, line, target, &told, when(message, now)))
}

fn addresses(told: &mut Parameters, message: &Message) {
    for (name, address) in [("From", &message.from), ("To", &message.to)] {
        if let Some(address) = address {
            told.push(name, address.reveal());
        }
    }
    if let Some(service) = &message.messaging_service_sid {
        told.push("MessagingServiceSid", service);
    }
}

fn when(message: &Message, now: DateTime<Utc>) -> DateTime<Utc> {
    message.sent_at.or(message.created_at).unwrap_or(now)
}

fn event(
    kind: EventKind,
    account_sid: &str,
    line: &str,
    target: String,
    told: &Parameters,
    received_at: DateTime<Utc>,
) -> Event {
    let body = told.encode().into_bytes();
    Event {
        dedupe_id: dedupe_id(account_sid, kind, line, &target, told, &body),
        kind,
        source: Source::List,
        line: line.to_owned(),
        method: "POST".to_owned(),
        target,
        content_type: "application/x-www-form-urlencoded".to_owned(),
        body,
        received_at,
        trace: None,
    }
}

#[cfg(test)]
mod tests {
    use casewire_domain::{Address, DeliveryStatus, Region, Text};

    use super::*;
    use crate::rest::Direction;
    use crate::webhook::{inbound_text, status_report};

    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const SID: &str = "MM0123456789abcdef0123456789abcdef";

    fn message() -> Message {
        let address = |number| Address::parse(number, Region::US).ok();
        Message {
            sid: SID.to_owned(),
            direction: Direction::Inbound,
            status: None,
            from: address("+12065550100"),
            to: address("+15550001111"),
            body: Text::new("my heater & cat = 🥶 +1"),
            media: 1,
            messaging_service_sid: None,
            created_at: DateTime::from_timestamp(1_795_188_180, 0),
            sent_at: None,
            error_code: None,
        }
    }

    #[test]
    fn a_listed_text_reads_as_its_webhook_would_have() {
        let media = vec![Media { url: "https://api.example/ME1".into(), content_type: "image/png".into() }];
        let event = inbound_event(ACCOUNT, "main", &message(), &media, DateTime::UNIX_EPOCH);
        assert_eq!(event.dedupe_id.as_str(), format!("i:{ACCOUNT}:{SID}"));
        assert_eq!((event.received_at.timestamp(), event.target.as_str()), (1_795_188_180, "/inbound/main"));
        let text = inbound_text(&event).expect("a text");
        assert_eq!((text.provider_sid.as_str(), text.from.as_str()), (SID, "+12065550100"));
        assert_eq!((text.to.as_str(), text.body.reveal()), ("+15550001111", "my heater & cat = 🥶 +1"));
        assert_eq!(text.media, media);
    }

    #[test]
    fn a_listed_status_has_its_callbacks_id() {
        let failed = Message {
            status: Some(DeliveryStatus::Undelivered),
            error_code: Some(30003),
            direction: Direction::OutboundApi,
            ..message()
        };
        let event = status_event(ACCOUNT, "main", &failed, DateTime::UNIX_EPOCH).expect("a status");
        assert_eq!(event.dedupe_id.as_str(), format!("s:{ACCOUNT}:{SID}:undelivered:30003"));
        let report = status_report(&event).expect("a report");
        assert_eq!((report.status, report.error_code), (DeliveryStatus::Undelivered, Some(30003)));
        assert_eq!(report.ours, None);
        assert_eq!(status_event(ACCOUNT, "main", &message(), DateTime::UNIX_EPOCH), None);
    }

    #[test]
    fn a_text_whose_sender_cannot_be_read_is_left_to_a_person() {
        let event =
            inbound_event(ACCOUNT, "main", &Message { from: None, ..message() }, &[], DateTime::UNIX_EPOCH);
        assert!(inbound_text(&event).is_err());
        assert!(event.dedupe_id.as_str().starts_with("i:"), "it is set aside under its own id");
    }
}
