//! What came of an attempt to send. The one rule above all: a text that the provider may have taken is
//! never sent again.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::report::OPTED_OUT;
use super::{Decision, Outcome};
use crate::case::{Trail, TrailEntry};
use crate::id::MessageId;
use crate::json::Json;
use crate::message::Message;
use crate::outbox::{AttemptOutcome, OutboxState, Outgoing, Settling};
use crate::state::{Effect, State};
use crate::status::{DeliveryStatus, Progress};
use crate::suppression::Suppression;
use crate::trace::TraceParent;

/// How long after its attempt began an uncertain text holds back the later ones of its conversation. A callback settles
/// nearly all within seconds; a customer should not wait longer for the next text because of one that may never settle.
const HOLDS_LANE: TimeDelta = TimeDelta::seconds(60);

/// Longest wait before another attempt, so that no number a provider sends puts a text off for ever.
pub(super) const LONGEST_WAIT: TimeDelta = TimeDelta::days(1);

pub(super) fn decide(
    state: &State,
    id: MessageId,
    attempt: u32,
    outcome: &AttemptOutcome,
    trace: Option<&TraceParent>,
) -> Decision {
    let Some(message) = state.messages.get(&id) else { return done(Vec::new()) };
    let message = &Message { trace: trace.or(message.trace.as_ref()).cloned(), ..message.clone() };
    // A callback may have settled the message while the attempt was under way.
    let row = state.outbox.get(&id).filter(|row| row.attempt == attempt);
    match outcome {
        AttemptOutcome::Accepted { provider_sid, status } => {
            accepted(state, message, attempt, provider_sid, *status)
        }
        AttemptOutcome::NotProcessed { retry_after } => again(state, row, *retry_after),
        AttemptOutcome::Rejected { code } => {
            failed(state, message, row, DeliveryStatus::Failed, *code, "rejected")
        }
        AttemptOutcome::Suppressed => {
            failed(state, message, row, DeliveryStatus::Canceled, None, "opted_out")
        }
        AttemptOutcome::Uncertain => {
            hold(state, message, row.filter(|row| row.state == OutboxState::Sending))
        }
    }
}

fn done(effects: Vec<Effect>) -> Decision {
    Decision { outcome: Outcome::Attempted { duplicate_send: false }, effects }
}

fn accepted(state: &State, message: &Message, attempt: u32, sid: &str, status: DeliveryStatus) -> Decision {
    let change = json!({ "message": message.id, "attempt": attempt, "provider_sid": sid });
    if message.provider_sid.as_deref().is_some_and(|known| known != sid) {
        let effects = entry(state, message, Trail::DuplicateSendDetected, json!({}), change);
        return Decision {
            outcome: Outcome::Attempted { duplicate_send: true },
            effects: effects.into_iter().collect(),
        };
    }
    // An id that says nothing, or that another text has, cannot be told apart in callbacks: the provider has
    // the text, and more is not known.
    let bound = state.sids.get(&(message.account_id, sid.to_owned()));
    if sid.is_empty() || bound.is_some_and(|id| *id != message.id) {
        return hold(state, message, state.outbox.get(&message.id));
    }
    let mut effects = vec![Effect::PutMessage(Message {
        provider_sid: Some(sid.to_owned()),
        progress: message.progress.join(Progress::of(status, None)),
        ..message.clone()
    })];
    if state.outbox.contains_key(&message.id) {
        effects.push(Effect::Dequeue(message.id));
        effects.extend(entry(
            state,
            message,
            Trail::SendAccepted,
            json!({ "rule": "provider_answer" }),
            change,
        ));
    }
    done(effects)
}

fn again(state: &State, row: Option<&Outgoing>, retry_after: Duration) -> Decision {
    let wait = TimeDelta::from_std(retry_after).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
    let pending = |row: &Outgoing| Outgoing {
        state: OutboxState::Pending,
        due_at: state.at + wait,
        lease_until: None,
        ..row.clone()
    };
    // An attempt whose lease ran out may be held as uncertain by now; a definite answer settles that too.
    let begun = row.filter(|row| row.state != OutboxState::Pending);
    done(begun.map(pending).map(Effect::PutOutgoing).into_iter().collect())
}

fn failed(
    state: &State,
    message: &Message,
    row: Option<&Outgoing>,
    status: DeliveryStatus,
    code: Option<u32>,
    because: &str,
) -> Decision {
    let Some(row) = row else { return done(Vec::new()) };
    let mut effects = vec![
        Effect::PutMessage(Message {
            progress: message.progress.join(Progress::of(status, code)),
            ..message.clone()
        }),
        Effect::Dequeue(message.id),
    ];
    let change =
        json!({ "message": message.id, "attempt": row.attempt, "error_code": code, "status": status });
    effects.extend(entry(state, message, Trail::SendFailed, json!({ "because": because }), change));
    if code == Some(OPTED_OUT) {
        effects.push(Effect::Suppress(message.line_id, message.contact_id, Suppression::refused(state.at)));
    }
    done(effects)
}

/// Holds a text that the provider may have, whatever was to become of it.
fn hold(state: &State, message: &Message, row: Option<&Outgoing>) -> Decision {
    let Some(row) = row.filter(|row| row.state != OutboxState::Uncertain) else { return done(Vec::new()) };
    let begun = row.settling.attempted_at.unwrap_or(state.at);
    let held = Outgoing {
        state: OutboxState::Uncertain,
        // Whatever the clock did meanwhile, it holds them for no longer than this, and not into the past.
        due_at: (begun + HOLDS_LANE).clamp(state.at, state.at + HOLDS_LANE),
        lease_until: None,
        settling: Settling { looks: 0, look_at: None, held_at: None, ..row.settling },
        ..row.clone()
    };
    let change = json!({ "message": message.id, "attempt": row.attempt });
    let why = json!({ "because": "outcome_unknown" });
    let mut effects = vec![Effect::PutOutgoing(held)];
    effects.extend(entry(state, message, Trail::SendUncertain, why, change));
    done(effects)
}

pub(super) fn entry(
    state: &State,
    message: &Message,
    kind: Trail,
    why: Value,
    change: Value,
) -> Option<Effect> {
    let case_id = message.case_id?;
    let (why, change) = (Json::of(why), Json::of(change));
    Some(Effect::Trail(TrailEntry { case_id, actor: "casewire".into(), kind, why, change, at: state.at }))
}
