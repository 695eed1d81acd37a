//! Requests to the line's owner: what they say, how they are signed, how long they are tried.

mod answer;
mod delivery;
mod overrides;
mod parameters;
mod request;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::message::{Envelope, Status};

pub(crate) use answer::Meaning;
pub(crate) use delivery::Courier;
pub(crate) use parameters::{inbound, status};
pub(crate) use request::Request;

/// A status callback on its way.
pub(crate) struct Callback {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) status: Status,
    pub(crate) error_code: Option<u32>,
    pub(crate) at: DateTime<Utc>,
    /// Callbacks that were held back until this one has been delivered.
    pub(crate) after: Vec<Callback>,
    /// Dropped when this one has been delivered or given up.
    pub(crate) waiting: Option<oneshot::Sender<()>>,
}

/// What became of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The last answer's HTTP status; `None` when there was none.
    pub status: Option<u16>,
    /// How many times it was tried.
    pub attempts: u32,
    /// The error Twilio would log: 11205 no connection or no answer in time, 11206 a broken answer, 11215 too
    /// many redirects, 11217 an answer that is not 2xx, 11243 a bad `rp`, 11321 a bad URL, 11750 an answer
    /// over 64 kB, 12100/12300 an answer that is no TwiML.
    pub error_code: Option<u32>,
    /// From the first try to the end.
    pub duration_ms: u64,
}

impl Outcome {
    /// Of a webhook that could not even be tried.
    pub(crate) fn unsent(error_code: u32) -> Self {
        Self { status: None, attempts: 0, error_code: Some(error_code), duration_ms: 0 }
    }

    /// Whether the last answer was a 2xx.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}
