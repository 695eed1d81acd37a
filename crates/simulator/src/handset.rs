//! People's phones: what arrived on them and what was sent from them.

use casewire_domain::{Address, Media, Text};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::shelf::Shelved;
use crate::sid::Sid;

/// A text on a handset, as its owner sees it.
#[derive(Clone, Debug, Serialize)]
pub struct HandsetText {
    /// Grows with every text on any handset; where an event stream resumes.
    pub seq: u64,
    /// The message's id.
    pub id: Sid,
    /// Whose phone.
    #[serde(skip)]
    pub handset: Address,
    /// Which way it went.
    pub direction: HandsetDirection,
    /// The number at the other end.
    pub line: Address,
    /// What was written.
    pub body: Text,
    /// Pictures.
    pub media: Vec<Media>,
    /// When it was sent, or when it arrived.
    pub at: DateTime<Utc>,
    /// How it came about.
    pub origin: Origin,
}

/// Which way a text went, seen from the handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HandsetDirection {
    /// It arrived.
    Received,
    /// Its owner sent it.
    Sent,
}

/// How a text came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Typed on the handset.
    Handset,
    /// Sent through the REST API.
    Api,
    /// Twilio's own answer to STOP, START or HELP.
    Keyword,
    /// The webhook answered in plain text, which Twilio sends on to the person.
    WebhookAnswer,
}

impl Shelved for HandsetText {
    type Key = Address;
    fn keys(&self) -> Vec<Address> {
        vec![self.handset.clone()]
    }
}
