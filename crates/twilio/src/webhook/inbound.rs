//! What an event says: a text, or a report on one of ours.

use casewire_domain::{DeliveryStatus, Event, InboundText, Keyword, Location, Media, StatusReport, Text};

use super::Unreadable;
use super::dedupe::status_name;
use super::path::parse_status_path;
use super::sid::message_sid;
use crate::content::Content;
use crate::parameters::Parameters;

/// The text an event of kind `message` carries. Parameters that nobody here knows are left alone: Twilio adds
/// some without notice.
pub fn inbound_text(event: &Event) -> Result<InboundText, Unreadable> {
    let parameters = read(event)?;
    Ok(InboundText {
        provider_sid: message_sid(&parameters)?.to_owned(),
        from: required(&parameters, "From")?,
        to: required(&parameters, "To")?,
        body: Text::new(storable(parameters.get("Body").unwrap_or_default())),
        media: media(&parameters),
        location: location(&parameters),
        opt_out: parameters.filled("OptOutType").and_then(keyword),
    })
}

/// The report an event of kind `message_status` carries, with our message and attempt where its path has them.
pub fn status_report(event: &Event) -> Result<StatusReport, Unreadable> {
    let parameters = read(event)?;
    let status = status_name(&parameters).ok_or(Unreadable::Missing("MessageStatus"))?;
    let error_code = parameters.filled("ErrorCode").map(|code| code.parse());
    Ok(StatusReport {
        provider_sid: message_sid(&parameters)?.to_owned(),
        status: DeliveryStatus::parse(status).ok_or(Unreadable::UnknownStatus)?,
        error_code: error_code.transpose().map_err(|_| Unreadable::MalformedErrorCode)?,
        ours: parse_status_path(&event.target),
    })
}

/// Ingest has already bounded what it stored, so nothing is refused here for its number.
fn read(event: &Event) -> Result<Parameters, Unreadable> {
    let Event { method, target, content_type, body, .. } = event;
    Ok(Content::read(method, target, content_type, body, usize::MAX)?.parameters)
}

fn required(parameters: &Parameters, name: &'static str) -> Result<String, Unreadable> {
    parameters.filled(name).map(storable).ok_or(Unreadable::Missing(name))
}

/// No SMS holds a NUL, and PostgreSQL stores none: one sent all the same must not stop the text it is in.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn filled(parameters: &Parameters, name: &str) -> Option<String> {
    parameters.filled(name).map(storable)
}

/// The files by the URLs there are; `NumMedia` only repeats how many.
fn media(parameters: &Parameters) -> Vec<Media> {
    let url = |i: usize| filled(parameters, &format!("MediaUrl{i}"));
    let content_type = |i: usize| filled(parameters, &format!("MediaContentType{i}")).unwrap_or_default();
    (0..).map_while(|i| Some(Media { url: url(i)?, content_type: content_type(i) })).collect()
}

fn location(parameters: &Parameters) -> Location {
    Location {
        city: filled(parameters, "FromCity"),
        state: filled(parameters, "FromState"),
        zip: filled(parameters, "FromZip"),
        country: filled(parameters, "FromCountry"),
    }
}

fn keyword(class: &str) -> Option<Keyword> {
    match class {
        "STOP" => Some(Keyword::Stop),
        "START" => Some(Keyword::Start),
        "HELP" => Some(Keyword::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use casewire_domain::{DedupeId, EventKind, MessageId, Source};

    use super::*;
    use crate::parameters::Malformed;

    const SID: &str = "SM0123456789abcdef0123456789abcdef";
    const FORM: &str = "application/x-www-form-urlencoded";

    fn event(method: &str, target: &str, content_type: &str, body: &str) -> Event {
        Event {
            dedupe_id: DedupeId::of_content(&[]),
            kind: EventKind::Message,
            source: Source::Webhook,
            line: "main".to_owned(),
            method: method.to_owned(),
            target: target.to_owned(),
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
            received_at: Default::default(),
            trace: Default::default(),
        }
    }

    fn form(pairs: &[(&str, &str)]) -> String {
        pairs.iter().copied().collect::<Parameters>().encode()
    }

    const TEXT: [(&str, &str); 4] = [
        ("MessageSid", SID),
        ("From", "+12065550100"),
        ("To", "+12065550199"),
        ("Body", "R&D: 50% + a=b 🔥"),
    ];

    #[test]
    fn a_text_is_read_alike_from_a_form_a_query_and_json() -> Result<(), Unreadable> {
        let encoded = form(&TEXT);
        let json = serde_json::json!(TEXT.into_iter().collect::<std::collections::BTreeMap<_, _>>());
        for event in [
            event("POST", "/inbound/main", FORM, &encoded),
            event("GET", &format!("/inbound/main?{encoded}"), "", ""),
            event("POST", "/inbound/main?bodySHA256=x", "application/json", &json.to_string()),
        ] {
            let text = inbound_text(&event)?;
            assert_eq!(text.provider_sid, SID);
            assert_eq!(text.body.reveal(), "R&D: 50% + a=b 🔥");
            assert_eq!((text.from.as_str(), text.to.as_str()), ("+12065550100", "+12065550199"));
            assert_eq!((text.media, text.location, text.opt_out), (vec![], Location::default(), None));
        }
        Ok(())
    }

    #[test]
    fn pictures_place_and_opt_out_are_read() -> Result<(), Unreadable> {
        let mut pairs = TEXT.to_vec();
        pairs[3].1 = "";
        pairs.extend([
            ("NumMedia", "2"),
            ("MediaUrl0", "https://api.example/0"),
            ("MediaContentType0", "image/jpeg"),
            ("MediaUrl1", "https://api.example/1"),
            ("FromCity", "SEATTLE"),
            ("FromState", "WA"),
            ("FromZip", ""),
            ("FromCountry", "US"),
            ("OptOutType", "STOP"),
        ]);
        let text = inbound_text(&event("POST", "/inbound/main", FORM, &form(&pairs)))?;
        assert_eq!(text.body.reveal(), "");
        let types: Vec<_> = text.media.iter().map(|m| (m.url.as_str(), m.content_type.as_str())).collect();
        assert_eq!(types, [("https://api.example/0", "image/jpeg"), ("https://api.example/1", "")]);
        let Location { city, state, zip, country } = text.location;
        assert_eq!((city.as_deref(), state.as_deref()), (Some("SEATTLE"), Some("WA")));
        assert_eq!((zip, country.as_deref()), (None, Some("US")));
        assert_eq!(text.opt_out, Some(Keyword::Stop));
        Ok(())
    }

    #[test]
    fn a_nul_does_not_stop_its_text() -> Result<(), Unreadable> {
        let mut pairs = TEXT;
        pairs[3].1 = "a\0b";
        let text = inbound_text(&event("POST", "/inbound/main", FORM, &form(&pairs)))?;
        assert_eq!(text.body.reveal(), "a\u{fffd}b");
        Ok(())
    }

    #[test]
    fn a_text_without_what_every_text_has_is_unreadable() {
        let read = |body: &str| inbound_text(&event("POST", "/inbound/main", FORM, body)).err();
        for (i, (name, _)) in TEXT.iter().take(3).enumerate() {
            let mut pairs = TEXT.to_vec();
            pairs.remove(i);
            assert_eq!(read(&form(&pairs)), Some(Unreadable::Missing(name)));
        }
        assert_eq!(read("MessageSid=SM1&From=a&To=b"), Some(Unreadable::MalformedSid));
        let invalid = Unreadable::Content(Malformed::Utf8.into());
        assert_eq!(read("Body=%ff"), Some(invalid));
    }

    #[test]
    fn a_status_report_brings_our_message_back() -> Result<(), Unreadable> {
        let target = "/inbound/main/status/000000000000000000000000000000ab.3";
        let body = form(&[("MessageSid", SID), ("MessageStatus", "undelivered"), ("ErrorCode", "30003")]);
        let report = status_report(&event("POST", target, FORM, &body))?;
        assert_eq!((report.status, report.error_code), (DeliveryStatus::Undelivered, Some(30003)));
        let id: Result<MessageId, _> = "000000000000000000000000000000ab".parse();
        assert_eq!(report.ours, id.ok().map(|id| (id, 3)));
        let unnamed = status_report(&event("POST", "/inbound/main/status", FORM, &body))?;
        assert_eq!(unnamed.ours, None);
        Ok(())
    }

    #[test]
    fn a_status_nobody_knows_is_set_aside() {
        let read = |pairs: &[(&str, &str)]| {
            let mut all = vec![("MessageSid", SID)];
            all.extend(pairs);
            status_report(&event("POST", "/inbound/main/status", FORM, &form(&all))).err()
        };
        assert_eq!(read(&[]), Some(Unreadable::Missing("MessageStatus")));
        assert_eq!(read(&[("MessageStatus", "levitated")]), Some(Unreadable::UnknownStatus));
        let code = [("MessageStatus", "failed"), ("ErrorCode", "x")];
        assert_eq!(read(&code), Some(Unreadable::MalformedErrorCode));
    }
}
