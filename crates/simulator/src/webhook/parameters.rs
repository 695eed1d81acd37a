//! What webhooks say. Sources: messaging/guides/webhook-request (texts),
//! messaging/guides/outbound-message-status-in-status-callbacks (callbacks).

use casewire_domain::{Keyword, Location};
use casewire_twilio::parameters::Parameters;

use crate::geography::locate;
use crate::message::{API_VERSION, Envelope, Status};
use crate::segments::segments;
use crate::webhook::Callback;

/// The parameters of a text to a line. `keyword` is told only where Advanced Opt-Out is on.
pub(crate) fn inbound(text: &Envelope, keyword: Option<Keyword>) -> Parameters {
    let mut told = Parameters::default();
    let sid = text.sid.to_string();
    place(&mut told, "To", &locate(text.to.reveal()));
    told.push("SmsMessageSid", &sid);
    told.push("NumMedia", &text.media.len().to_string());
    place(&mut told, "From", &locate(text.from.reveal()));
    told.push("SmsSid", &sid);
    told.push("SmsStatus", Status::Received.as_str());
    told.push("Body", text.body.reveal());
    told.push("To", text.to.reveal());
    if let Some(service) = &text.service {
        told.push("MessagingServiceSid", service);
    }
    if let Some(keyword) = keyword {
        told.push("OptOutType", class(keyword));
    }
    told.push("NumSegments", &segments(text.body.reveal()).to_string());
    told.push("MessageSid", &sid);
    told.push("AccountSid", text.account.as_str());
    told.push("From", text.from.reveal());
    for (n, media) in text.media.iter().enumerate() {
        told.push(&format!("MediaUrl{n}"), &media.url);
        told.push(&format!("MediaContentType{n}"), &media.content_type);
    }
    told.push("ApiVersion", API_VERSION);
    told
}

/// Geographic parameters are sent empty when nothing is known.
fn place(told: &mut Parameters, whose: &str, place: &Location) {
    for (what, value) in
        [("Country", &place.country), ("State", &place.state), ("City", &place.city), ("Zip", &place.zip)]
    {
        told.push(&format!("{whose}{what}"), value.as_deref().unwrap_or_default());
    }
}

fn class(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::Stop => "STOP",
        Keyword::Start => "START",
        Keyword::Help => "HELP",
    }
}

/// The parameters of a status callback.
pub(crate) fn status(callback: &Callback) -> Parameters {
    let text = &callback.envelope;
    let (sid, status) = (text.sid.to_string(), callback.status.as_str());
    let mut told = Parameters::default();
    if matches!(callback.status, Status::Delivered | Status::Undelivered) {
        // The carrier's own clock, to the minute.
        told.push("RawDlrDoneDate", &callback.at.format("%y%m%d%H%M").to_string());
    }
    if let Some(code) = callback.error_code {
        told.push("ErrorCode", &code.to_string());
    }
    told.push("SmsSid", &sid);
    told.push("SmsStatus", status);
    told.push("MessageStatus", status);
    told.push("To", text.to.reveal());
    if let Some(service) = &text.service {
        told.push("MessagingServiceSid", service);
    }
    told.push("MessageSid", &sid);
    told.push("AccountSid", text.account.as_str());
    told.push("From", text.from.reveal());
    told.push("ApiVersion", API_VERSION);
    told
}
