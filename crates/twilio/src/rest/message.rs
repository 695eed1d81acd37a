//! A message as Twilio keeps it.

use casewire_domain::{Address, DeliveryStatus, Region, Text};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::answer::Trouble;
use crate::webhook::is_message_sid;

/// A message as Twilio keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub sid: String,
    /// Who made it.
    pub direction: Direction,
    /// How far an outbound one has come; `None` for an inbound one, or a status not known here.
    pub status: Option<DeliveryStatus>,
    /// The sender; `None` while a Messaging Service has not picked one.
    pub from: Option<Address>,
    /// The recipient.
    pub to: Option<Address>,
    /// What it says; empty once redacted.
    pub body: Text,
    /// How many files it has.
    pub media: u32,
    /// The Messaging Service it went through.
    pub messaging_service_sid: Option<String>,
    /// When it was created.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was sent, or received; `None` before.
    pub sent_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error_code: Option<u32>,
}

/// Who made a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A customer.
    Inbound,
    /// A POST to this API, as all of ours.
    OutboundApi,
    /// An answer in TwiML.
    OutboundReply,
    /// A voice call.
    OutboundCall,
    /// Something not known here.
    Other,
}

impl Direction {
    fn parse(name: &str) -> Self {
        match name {
            "inbound" => Self::Inbound,
            "outbound-api" => Self::OutboundApi,
            "outbound-reply" => Self::OutboundReply,
            "outbound-call" => Self::OutboundCall,
            _ => Self::Other,
        }
    }
}

/// A message as the API writes it: everything but the id may be null, and numbers come as texts.
#[derive(Deserialize)]
pub(super) struct Wire {
    sid: String,
    direction: Option<String>,
    status: Option<String>,
    from: Option<String>,
    to: Option<String>,
    body: Option<String>,
    num_media: Option<String>,
    messaging_service_sid: Option<String>,
    date_created: Option<String>,
    date_sent: Option<String>,
    error_code: Option<u32>,
}

impl TryFrom<Wire> for Message {
    type Error = Trouble;

    fn try_from(wire: Wire) -> Result<Self, Trouble> {
        if !is_message_sid(&wire.sid) {
            return Err(Trouble::UnreadableAnswer);
        }
        // These are full numbers, which read the same in every region.
        let address = |raw: Option<String>| Address::parse(&raw?, Region::US).ok();
        Ok(Self {
            direction: wire.direction.as_deref().map_or(Direction::Other, Direction::parse),
            status: wire.status.as_deref().and_then(DeliveryStatus::parse),
            from: address(wire.from),
            to: address(wire.to),
            body: Text::new(wire.body.unwrap_or_default()),
            media: wire.num_media.and_then(|number| number.parse().ok()).unwrap_or_default(),
            messaging_service_sid: wire.messaging_service_sid,
            created_at: wire.date_created.as_deref().map(time).transpose()?,
            sent_at: wire.date_sent.as_deref().map(time).transpose()?,
            error_code: wire.error_code,
            sid: wire.sid,
        })
    }
}

/// RFC 2822, as this API writes times. One that cannot be read could make a message look absent, so it is an error.
fn time(text: &str) -> Result<DateTime<Utc>, Trouble> {
    let time = DateTime::parse_from_rfc2822(text).map_err(|_| Trouble::UnreadableAnswer)?;
    Ok(time.with_timezone(&Utc))
}
