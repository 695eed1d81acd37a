//! The rules: what becomes of a command, given what is known. Pure: the same command in the same state
//! under the same ids is always decided alike.

mod attempt;
mod reply;
mod report;
mod resolve;
mod settle;
mod text;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::case::{Case, Trail, TrailEntry};
use crate::command::{Command, EventFacts};
use crate::id::{CaseNumber, MessageId, Mint};
use crate::json::Json;
use crate::line::Rules;
use crate::message::Rule;
use crate::state::{Effect, EventOutcome, EventRow, State};
use crate::trace::TraceParent;

/// What came of a command, and what must change for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What came of it, for whoever asked.
    pub outcome: Outcome,
    /// What must change.
    pub effects: Vec<Effect>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It had its effect before; nothing changes.
    Duplicate,
    /// A text is in this case, by this rule.
    Placed {
        /// The case.
        case: CaseNumber,
        /// The rule.
        rule: Rule,
        /// Whether an acknowledgement is queued.
        answered: bool,
    },
    /// Kept, in no case.
    Recorded,
    /// A status took effect, or said nothing new.
    Reported {
        /// Whether the provider turned out to hold two texts for one message.
        duplicate_send: bool,
        /// Whether it tells that the provider has a text of which nobody knew.
        settled: bool,
        /// How long after it was queued the text was delivered, where this tells it first.
        delivered_after: Option<Duration>,
        /// The trace of the text's sending.
        trace: Option<TraceParent>,
    },
    /// A status of a text we do not know yet.
    Waiting,
    /// A dead letter, with its reason.
    SetAside(String),
    /// A reply is queued.
    Replied {
        /// Its message.
        message_id: MessageId,
        /// Whether an earlier request under the same key had queued it.
        repeated: bool,
    },
    /// A case has the status asked for.
    StatusSet,
    /// The outcome of an attempt is known.
    Attempted {
        /// Whether the provider turned out to hold two texts for one message.
        duplicate_send: bool,
    },
    /// What reading the provider's list came to.
    Looked(Sighting),
    /// A person's word on a held text is carried out.
    Resolved,
    /// It cannot be done.
    Refused(Refusal),
}

impl Outcome {
    /// Whether a text may wait to be sent that did not before: one was queued, or what held it back is settled.
    pub fn may_have_queued(&self) -> bool {
        match self {
            Self::Placed { answered, .. } => *answered,
            Self::Recorded | Self::Waiting | Self::SetAside(_) | Self::Refused(_) => false,
            // Of a try of which nobody heard that it was committed, too.
            _ => true,
        }
    }
}

/// What reading the provider's list for an uncertain text came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It is on the list.
    Found {
        /// Whether the provider turned out to hold two texts for one message.
        duplicate_send: bool,
    },
    /// It was not told: the list is read again later.
    Later,
    /// It is sent again.
    SentAgain,
    /// A person must decide.
    Held,
    /// It was settled otherwise meanwhile.
    Over,
}

/// Why an agent's act cannot be done. Final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No case has this number.
    #[error("no case has this number")]
    NoSuchCase,
    /// The contact has opted out of texts on this line.
    #[error("the contact has opted out of texts on this line")]
    OptedOut,
    /// The contact is a sender by name, to whom no text can be sent.
    #[error("the contact texts under a name, to which no text can be sent")]
    Unreachable,
    /// The line the customer used is gone.
    #[error("the line the customer used has been removed")]
    LineRemoved,
    /// The idempotency key was used for another reply.
    #[error("the idempotency key was used for another reply")]
    KeyReused,
    /// The case has no such text.
    #[error("the case has no such text")]
    NoSuchMessage,
    /// The text is not held for a person, or not any more.
    #[error("the text is not held, or not any more")]
    NotHeld,
    /// The provider's list is still being read for the text.
    #[error("casewire is still asking the provider about the text")]
    StillSettling,
}

/// Decides a command. `mint` gives the ids of what is new.
pub fn decide(rules: &Rules, state: &State, command: &Command, mint: Mint<'_>) -> Decision {
    if let Some(event) = command.event()
        && state.settled(&event.dedupe_id)
    {
        return Decision { outcome: Outcome::Duplicate, effects: Vec::new() };
    }
    match command {
        Command::Text(facts, text) => text::decide(rules, state, facts, text, mint),
        Command::Status(facts, report) => report::decide(rules, state, facts, report),
        Command::Record(facts) => recorded(state, facts, "nothing is done with events of this kind"),
        Command::SetAside(facts, reason) => set_aside(state, facts, reason),
        Command::Reply(reply) => reply::decide(rules, state, reply, mint),
        Command::SetStatus { case, status, actor } => reply::set_status(state, *case, *status, actor),
        Command::Attempted { message_id, attempt, outcome, trace } => {
            attempt::decide(state, *message_id, *attempt, outcome, trace.as_ref())
        }
        Command::Looked(look) => settle::decide(rules, state, look),
        Command::Resolve { case, message_id, verdict, actor } => {
            resolve::decide(rules, state, *case, *message_id, *verdict, actor)
        }
    }
}

fn refused(refusal: Refusal) -> Decision {
    Decision { outcome: Outcome::Refused(refusal), effects: Vec::new() }
}

fn event_row(
    state: &State,
    facts: &Arc<EventFacts>,
    outcome: EventOutcome,
    reason: impl Into<Option<String>>,
) -> EventRow {
    EventRow {
        facts: facts.clone(),
        outcome,
        reason: reason.into(),
        provider_sid: None,
        handled_at: state.at,
    }
}

fn recorded(state: &State, facts: &Arc<EventFacts>, reason: &str) -> Decision {
    let row = event_row(state, facts, EventOutcome::Recorded, reason.to_owned());
    Decision { outcome: Outcome::Recorded, effects: vec![Effect::PutEvent(row)] }
}

fn set_aside(state: &State, facts: &Arc<EventFacts>, reason: &str) -> Decision {
    let row = event_row(state, facts, EventOutcome::Dead, reason.to_owned());
    Decision { outcome: Outcome::SetAside(reason.to_owned()), effects: vec![Effect::PutEvent(row)] }
}

fn trail(
    state: &State,
    case: &Case,
    actor: &str,
    kind: Trail,
    why: impl Serialize,
    change: impl Serialize,
) -> Effect {
    let (why, change) = (Json::of(why), Json::of(change));
    Effect::Trail(TrailEntry { case_id: case.id, actor: actor.to_owned(), kind, why, change, at: state.at })
}

#[cfg(test)]
mod tests;
