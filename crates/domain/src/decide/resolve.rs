//! What a person decides about a text that is held.

use serde_json::json;

use super::settle::again;
use super::{Decision, Outcome, Refusal, refused, trail};
use crate::case::{Case, Trail};
use crate::id::{CaseNumber, MessageId};
use crate::line::Rules;
use crate::message::Message;
use crate::outbox::{OutboxState, Outgoing};
use crate::settle::Verdict;
use crate::state::{Effect, State};
use crate::status::{DeliveryStatus, Progress};

pub(super) fn decide(
    rules: &Rules,
    state: &State,
    number: CaseNumber,
    id: MessageId,
    verdict: Verdict,
    actor: &str,
) -> Decision {
    let Some(case) = state.case(number) else { return refused(Refusal::NoSuchCase) };
    let message = state.messages.get(&id).filter(|message| message.case_id == Some(case.id));
    let Some(message) = message else { return refused(Refusal::NoSuchMessage) };
    let row = match held(state, id) {
        Ok(row) => row,
        Err(refusal) => return refused(refusal),
    };
    let mut effects = match verdict {
        Verdict::Arrived => closed(message, DeliveryStatus::Sent),
        Verdict::DoNotSend => closed(message, DeliveryStatus::Canceled),
        Verdict::SendAgain => match may_send(rules, state, message) {
            Ok(()) => vec![Effect::PutOutgoing(again(row, state.at))],
            Err(refusal) => return refused(refusal),
        },
    };
    effects.extend(remembered(state, case, row, verdict, actor));
    Decision { outcome: Outcome::Resolved, effects }
}

/// The row of a text that waits for a person's word.
fn held(state: &State, id: MessageId) -> Result<&Outgoing, Refusal> {
    let row = state.outbox.get(&id).filter(|row| row.state == OutboxState::Uncertain);
    let row = row.ok_or(Refusal::NotHeld)?;
    if row.settling.held_at.is_some() { Ok(row) } else { Err(Refusal::StillSettling) }
}

/// What is known of the text now; a callback may still add to it.
fn closed(message: &Message, status: DeliveryStatus) -> Vec<Effect> {
    let progress = message.progress.join(Progress::of(status, None));
    vec![Effect::PutMessage(Message { progress, ..message.clone() }), Effect::Dequeue(message.id)]
}

fn may_send(rules: &Rules, state: &State, message: &Message) -> Result<(), Refusal> {
    if state.suppressed(message.line_id, message.contact_id) {
        return Err(Refusal::OptedOut);
    }
    match rules.line_by_id(message.line_id) {
        Some(line) if line.active => Ok(()),
        _ => Err(Refusal::LineRemoved),
    }
}

fn remembered(state: &State, case: &Case, row: &Outgoing, verdict: Verdict, actor: &str) -> [Effect; 2] {
    let change = json!({ "message": row.message_id, "attempt": row.attempt, "verdict": verdict.as_str() });
    let why = json!({ "rule": "decided_by_person" });
    let entry = trail(state, case, actor, Trail::SendResolved, why, change);
    [Effect::PutCase(case.touched(state.at)), entry]
}
