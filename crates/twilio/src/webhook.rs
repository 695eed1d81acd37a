//! Webhooks in the domain's words: what a text or a delivery callback says, the id under which it has its
//! effect once, and the URLs Twilio is told to call.

mod dedupe;
mod inbound;
mod path;
mod sid;

pub use dedupe::{dedupe_id, peer};
pub use inbound::{inbound_text, status_report};
pub use path::{CONNECTION_OVERRIDES, message_path, message_url, parse_status_path, status_path, status_url};
pub use sid::{is_message_sid, message_sid};

use crate::content;

/// Why an event says nothing we can act on. All are final: the event becomes a dead letter, to be replayed
/// through a better parser. What was sent is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The content cannot be read.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// A parameter that every such webhook has is missing or empty.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// The message's id is not `SM` or `MM` and 32 hex digits.
    #[error("the message SID is malformed")]
    MalformedSid,
    /// A status this version does not know.
    #[error("the message status is unknown")]
    UnknownStatus,
    /// An error code that is no number.
    #[error("the error code is not a number")]
    MalformedErrorCode,
}
