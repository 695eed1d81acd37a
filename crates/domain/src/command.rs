//! What asks for a decision: an event, an agent's act, the outcome of a send.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::case::CaseStatus;
use crate::event::{DedupeId, EventKind};
use crate::id::{CaseNumber, MessageId};
use crate::inbound::{InboundText, StatusReport};
use crate::outbox::AttemptOutcome;
use crate::settle::{Look, Verdict};
use crate::text::Text;
use crate::trace::TraceParent;

/// What asks for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A customer's text arrived.
    Text(Arc<EventFacts>, InboundText),
    /// A delivery callback arrived.
    Status(Arc<EventFacts>, StatusReport),
    /// A signed event of a kind nothing is done with.
    Record(Arc<EventFacts>),
    /// An event that cannot be handled; kept with its reason.
    SetAside(Arc<EventFacts>, String),
    /// An agent replies to a case.
    Reply(Reply),
    /// An agent sets a case's status.
    SetStatus {
        /// The case.
        case: CaseNumber,
        /// What it becomes.
        status: CaseStatus,
        /// Who did it.
        actor: String,
    },
    /// An attempt to send came to this.
    Attempted {
        /// The message.
        message_id: MessageId,
        /// Which attempt.
        attempt: u32,
        /// What it came to.
        outcome: AttemptOutcome,
        /// The trace of the attempt.
        trace: Option<TraceParent>,
    },
    /// The provider's list was read for a text of which nobody knows whether the provider took it.
    Looked(Look),
    /// A person decides about a text that is held.
    Resolve {
        /// The case it is in.
        case: CaseNumber,
        /// The text.
        message_id: MessageId,
        /// What they say.
        verdict: Verdict,
        /// Who did it.
        actor: String,
    },
}

/// What an event's row in the database says, whatever the event means. Shared between the command and that row: it is most
/// of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFacts {
    /// Under which it has its effect once.
    pub dedupe_id: DedupeId,
    /// Its kind.
    pub kind: EventKind,
    /// The webhook id of the line it came for.
    pub line: String,
    /// When ingest had it.
    pub received_at: DateTime<Utc>,
    /// The event in its wire form, from which it can be replayed.
    pub raw: Vec<u8>,
    /// The trace of its handling, or of what brought it.
    pub trace: Option<TraceParent>,
}

/// An agent's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The case.
    pub case: CaseNumber,
    /// What to send.
    pub body: Text,
    /// Who wrote it: `agent:<token name>`.
    pub author: String,
    /// Makes repeating the request safe: the same key has its effect once.
    pub idempotency_key: Option<String>,
    /// The trace of the request.
    pub trace: Option<TraceParent>,
}

impl Command {
    /// From now on what it leads to belongs to this trace, if it came from an event.
    pub fn belongs_to(&mut self, trace: Option<TraceParent>) {
        match self {
            Self::Text(facts, _)
            | Self::Status(facts, _)
            | Self::Record(facts)
            | Self::SetAside(facts, _) => Arc::make_mut(facts).trace = trace,
            Self::Reply(_)
            | Self::SetStatus { .. }
            | Self::Attempted { .. }
            | Self::Looked(_)
            | Self::Resolve { .. } => {}
        }
    }

    /// The event this command came from, if from one.
    pub fn event(&self) -> Option<&Arc<EventFacts>> {
        match self {
            Self::Text(facts, _)
            | Self::Status(facts, _)
            | Self::Record(facts)
            | Self::SetAside(facts, _) => Some(facts),
            Self::Reply(_)
            | Self::SetStatus { .. }
            | Self::Attempted { .. }
            | Self::Looked(_)
            | Self::Resolve { .. } => None,
        }
    }
}
