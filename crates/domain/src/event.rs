//! What ingest puts on the stream: the request as it came, not yet understood.

use std::fmt;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::trace::TraceParent;

/// The key under which an event has its effect once and for ever.
///
/// Namespaced: `i:<account>:<MessageSid>` for messages, `s:<account>:<sid>:<status>:<error>` for delivery
/// statuses, `h:<hash>` where no usable SID was sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupeId(String);

impl DedupeId {
    /// Longest id accepted; a longer one would not fit the stream's header and the database's index well.
    pub const MAX_LEN: usize = 200;

    /// Wraps an id; `None` when it is empty, too long or not printable ASCII.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        let usable = !id.is_empty() && id.len() <= Self::MAX_LEN && id.bytes().all(|b| b.is_ascii_graphic());
        usable.then_some(Self(id))
    }

    /// The id of what bears no name of its own: `h:` and a hash of its parts.
    pub fn of_content(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length keeps "ab" and "c" from being "a" and "bc".
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("h:{digits}"))
    }

    /// The id as it stands in headers and in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DedupeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DedupeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of webhook an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A customer's text.
    Message,
    /// A delivery callback for a text of ours.
    MessageStatus,
    /// Anything else that was signed; stored, not acted on.
    Other,
}

impl EventKind {
    /// The name used in subjects, in the database and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::MessageStatus => "message_status",
            Self::Other => "other",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Message, Self::MessageStatus, Self::Other].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How an event reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Straight from a webhook.
    Webhook,
    /// From ingest's local spill, after the stream came back.
    Spill,
    /// Made from the provider's list of messages, for a webhook that never reached us. Nobody signed it: it was fetched
    /// with the account's own credentials.
    List,
}

/// A verified request, as it came. `Debug` leaves the target and the body out: they hold what people wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Under which the event has its effect once.
    pub dedupe_id: DedupeId,
    /// Which webhook it came from.
    pub kind: EventKind,
    /// How it reached us.
    pub source: Source,
    /// The line's webhook id: the `{line}` of its path.
    pub line: String,
    /// The request's method, upper case.
    pub method: String,
    /// The raw request target: path and query as they were sent.
    pub target: String,
    /// The `Content-Type` header, empty when there was none.
    pub content_type: String,
    /// The raw, verified body.
    pub body: Vec<u8>,
    /// When ingest had the whole request.
    pub received_at: DateTime<Utc>,
    /// The webhook's span, as W3C's `traceparent`. (There is no `tracestate`: traces begin with the webhook.)
    pub trace: Option<TraceParent>,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("dedupe_id", &self.dedupe_id)
            .field("kind", &self.kind)
            .field("source", &self.source)
            .field("line", &self.line)
            .field("body", &format_args!("[{} bytes]", self.body.len()))
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dedupe_id_is_short_printable_ascii() {
        assert!(DedupeId::new("i:AC1:SM1").is_some());
        for bad in ["", "a b", "a\nb", "é", &"x".repeat(201)] {
            assert_eq!(DedupeId::new(bad), None);
        }
    }

    #[test]
    fn the_same_content_has_the_same_id_and_no_other_has() {
        let id = DedupeId::of_content(&[b"ab", b"c"]);
        assert_eq!(id, DedupeId::of_content(&[b"ab", b"c"]));
        assert_ne!(id, DedupeId::of_content(&[b"a", b"bc"]));
        assert_eq!(DedupeId::new(id.as_str()), Some(id));
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in [EventKind::Message, EventKind::MessageStatus, EventKind::Other] {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
        }
    }
}
