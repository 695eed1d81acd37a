//! A message as Twilio keeps it: what never changes, how far it has come, and how it will end.

use std::sync::Arc;

use casewire_domain::{Address, Media, Text};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::codes;
use crate::segments::segments;
use crate::shelf::Shelved;
use crate::sid::{AccountSid, Sid};
use crate::webhook::Callback;

/// The version in paths and parameters.
pub(crate) const API_VERSION: &str = "2010-04-01";

/// How far a message has come. Source: Message resource, enum `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Taken for a Messaging Service that has not chosen its sender yet.
    Accepted,
    /// Taken.
    Queued,
    /// On its way to the carrier.
    Sending,
    /// With the carrier.
    Sent,
    /// On the handset.
    Delivered,
    /// The carrier could not deliver it.
    Undelivered,
    /// It never left.
    Failed,
    /// Inbound.
    Received,
}

impl Status {
    /// Twilio's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Received => "received",
        }
    }

    /// Whether nothing follows.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Undelivered | Self::Failed | Self::Received)
    }

    /// Whether Twilio calls back for it: `queued` only with a Messaging Service, `sending` never.
    /// Source: outbound-message-status-in-status-callbacks.
    fn is_reported(self, with_service: bool) -> bool {
        match self {
            Self::Sent | Self::Delivered | Self::Undelivered | Self::Failed => true,
            Self::Queued => with_service,
            Self::Accepted | Self::Sending | Self::Received => false,
        }
    }
}

/// How a message will end, with the error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    StaysSent,
    Undelivered(u32),
    Failed(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    OutboundApi,
    OutboundReply,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundReply => "outbound-reply",
        }
    }
}

/// What never changes about a message; shared by the message, its callbacks and the ledger.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) sid: Sid,
    pub(crate) account: AccountSid,
    pub(crate) service: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) body: Text,
    pub(crate) media: Vec<Media>,
    pub(crate) status_callback: Option<String>,
    pub(crate) created: DateTime<Utc>,
}

/// A message and how far it has come.
pub(crate) struct Message {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) status: Status,
    pub(crate) error_code: Option<u32>,
    pub(crate) fate: Fate,
    pub(crate) updated: DateTime<Utc>,
    pub(crate) sent: Option<DateTime<Utc>>,
    /// Lists show it from then on.
    pub(crate) listed_from: DateTime<Utc>,
    /// Callbacks a fault holds back until the next one has been delivered.
    pub(crate) held: Vec<Callback>,
    /// Who waits for the first callback; also makes the life cycle run without delays until then.
    pub(crate) first_callback: Option<oneshot::Sender<()>>,
}

impl Message {
    pub(crate) fn new(envelope: Envelope, status: Status, fate: Fate) -> Self {
        let created = envelope.created;
        Self {
            envelope: Arc::new(envelope),
            status,
            error_code: None,
            fate,
            updated: created,
            listed_from: created,
            sent: status.is_final().then_some(created),
            held: Vec::new(),
            first_callback: None,
        }
    }

    /// The status after this one, with its error code; `None` at the end.
    pub(crate) fn next(&self) -> Option<(Status, Option<u32>)> {
        match (self.status, self.fate) {
            (Status::Accepted, _) => Some((Status::Queued, None)),
            (Status::Queued, _) => Some((Status::Sending, None)),
            (Status::Sending, Fate::Failed(code)) => Some((Status::Failed, Some(code))),
            (Status::Sending, _) => Some((Status::Sent, None)),
            (Status::Sent, Fate::Undelivered(code)) => Some((Status::Undelivered, Some(code))),
            (Status::Sent, Fate::Delivered) => Some((Status::Delivered, None)),
            _ => None,
        }
    }

    pub(crate) fn reach(&mut self, status: Status, error_code: Option<u32>, now: DateTime<Utc>) {
        self.status = status;
        self.error_code = error_code;
        self.updated = now;
        if status == Status::Sent {
            self.sent = Some(now);
        }
    }

    /// Whether a callback is due for the status it has now.
    pub(crate) fn is_reported(&self) -> bool {
        self.envelope.status_callback.is_some() && self.status.is_reported(self.envelope.service.is_some())
    }

    /// The resource as the REST API shows it; `mount` comes before every path in it.
    pub(crate) fn resource(&self, mount: &str) -> Value {
        let it = &self.envelope;
        let uri = format!("{mount}/{API_VERSION}/Accounts/{}/Messages/{}", it.account, it.sid);
        // With a service the sender is not chosen yet, so neither is known.
        let undecided = self.status == Status::Accepted;
        json!({
            "account_sid": it.account,
            "api_version": API_VERSION,
            "body": it.body,
            "date_created": rfc2822(it.created),
            "date_sent": self.sent.map(rfc2822),
            "date_updated": rfc2822(self.updated),
            "direction": it.direction.as_str(),
            "error_code": self.error_code,
            "error_message": self.error_code.map(codes::sentence),
            "from": (!undecided).then_some(&it.from),
            "messaging_service_sid": it.service,
            "num_media": it.media.len().to_string(),
            "num_segments": if undecided { 0 } else { segments(it.body.reveal()) }.to_string(),
            "price": Value::Null,
            "price_unit": "USD",
            "sid": it.sid,
            "status": self.status,
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "to": it.to,
            "uri": format!("{uri}.json"),
        })
    }
}

impl Message {
    /// Its files as the REST API lists them. They have no ids of their own here: the place says which one it is.
    pub(crate) fn files(&self, mount: &str) -> Value {
        let it = &self.envelope;
        let uri = format!("{mount}/{API_VERSION}/Accounts/{}/Messages/{}/Media", it.account, it.sid);
        let file = |(place, media): (usize, &Media)| {
            let id = format!("ME{place:032x}");
            json!({
                "account_sid": it.account,
                "content_type": media.content_type,
                "date_created": rfc2822(it.created),
                "date_updated": rfc2822(it.created),
                "parent_sid": it.sid,
                "uri": format!("{uri}/{id}.json"),
                "sid": id,
            })
        };
        let files: Vec<_> = it.media.iter().enumerate().map(file).collect();
        json!({
            "first_page_uri": format!("{uri}.json?PageSize=50&Page=0"),
            "next_page_uri": Value::Null,
            "previous_page_uri": Value::Null,
            "page": 0,
            "page_size": 50,
            "start": 0,
            "end": files.len().saturating_sub(1),
            "uri": format!("{uri}.json?PageSize=50&Page=0"),
            "media_list": files,
        })
    }
}

/// How messages are found.
#[derive(PartialEq, Eq, Hash, Clone)]
pub(crate) enum Key {
    Account(AccountSid),
    From(AccountSid, Address),
    To(AccountSid, Address),
}

impl Shelved for Message {
    type Key = Key;
    fn keys(&self) -> Vec<Key> {
        let it = &self.envelope;
        vec![
            Key::Account(it.account.clone()),
            Key::From(it.account.clone(), it.from.clone()),
            Key::To(it.account.clone(), it.to.clone()),
        ]
    }
}

/// A time as the REST API writes it.
fn rfc2822(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
