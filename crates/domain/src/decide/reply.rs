//! What agents do: reply, and set a case's status.

use serde_json::json;

use super::{Decision, Outcome, Refusal, refused, trail};
use crate::case::{Case, CaseStatus, Trail};
use crate::command::Reply;
use crate::id::{CaseNumber, Mint};
use crate::line::Rules;
use crate::message::{Direction, Message, Rule, Why};
use crate::outbox::Outgoing;
use crate::state::{Effect, State};

pub(super) fn decide(rules: &Rules, state: &State, reply: &Reply, mint: Mint<'_>) -> Decision {
    let Some(case) = state.case(reply.case) else { return refused(Refusal::NoSuchCase) };
    if let Some(decision) = repeated(state, reply, case) {
        return decision;
    }
    if state.suppressed(case.line_id, case.contact_id) {
        return refused(Refusal::OptedOut);
    }
    if state.contacts.get(&case.contact_id).is_none_or(|contact| contact.address.digits().is_none()) {
        return refused(Refusal::Unreachable);
    }
    let Some(line) = rules.line_by_id(case.line_id).filter(|line| line.active) else {
        return refused(Refusal::LineRemoved);
    };
    let message = Message {
        id: mint().into(),
        account_id: line.account_id,
        line_id: case.line_id,
        conversation_id: case.conversation_id,
        contact_id: case.contact_id,
        case_id: Some(case.id),
        direction: Direction::Outbound,
        provider_sid: None,
        body: reply.body.clone(),
        media: Vec::new(),
        automatic: false,
        author: Some(reply.author.clone()),
        cause_id: None,
        progress: Default::default(),
        why: Why::rule(Rule::Reply),
        received_at: state.at,
        processed_at: state.at,
        trace: reply.trace.clone(),
    };
    Decision {
        outcome: Outcome::Replied { message_id: message.id, repeated: false },
        effects: queue(state, reply, case, message),
    }
}

/// The answer to a key that was used before.
fn repeated(state: &State, reply: &Reply, case: &Case) -> Option<Decision> {
    let key = (reply.author.clone(), reply.idempotency_key.clone()?);
    let message = state.messages.get(state.replies.get(&key)?)?;
    if message.case_id != Some(case.id) || message.body != reply.body {
        return Some(refused(Refusal::KeyReused));
    }
    let outcome = Outcome::Replied { message_id: message.id, repeated: true };
    Some(Decision { outcome, effects: Vec::new() })
}

fn queue(state: &State, reply: &Reply, case: &Case, message: Message) -> Vec<Effect> {
    let outgoing = Outgoing::queued(&message);
    let change = json!({ "message": message.id });
    let entry = trail(state, case, &reply.author, Trail::ReplyQueued, &message.why, change);
    let remember = reply
        .idempotency_key
        .iter()
        .map(|key| Effect::RememberReply(reply.author.clone(), key.clone(), message.id))
        .collect::<Vec<_>>();
    let answered = Effect::PutCase(Case { unanswered_since: None, ..case.touched(state.at) });
    let mut effects = vec![answered, Effect::AddMessage(message), Effect::PutOutgoing(outgoing), entry];
    effects.extend(remember);
    effects
}

pub(super) fn set_status(state: &State, number: CaseNumber, status: CaseStatus, actor: &str) -> Decision {
    let Some(case) = state.case(number) else { return refused(Refusal::NoSuchCase) };
    if case.status == status {
        return Decision { outcome: Outcome::StatusSet, effects: Vec::new() };
    }
    let closed = status == CaseStatus::Closed;
    let changed = Case {
        status,
        closed_at: closed.then_some(state.at),
        unanswered_since: case.waits_since().filter(|_| !closed),
        ..case.touched(state.at)
    };
    let kind = if case.status == CaseStatus::Closed { Trail::CaseReopened } else { Trail::StatusSet };
    let change = json!({ "from": case.status, "to": status });
    let entry = trail(state, case, actor, kind, json!({ "rule": "set_by_agent" }), change);
    let mut effects = vec![Effect::PutCase(changed), entry];
    if case.status == CaseStatus::Closed && takes_the_lane(state, case) {
        effects.push(Effect::SetCurrent(case.conversation_id, case.id));
    }
    Decision { outcome: Outcome::StatusSet, effects }
}

/// Whether a case an agent reopens becomes the one texts join: only where no other case is in work.
fn takes_the_lane(state: &State, case: &Case) -> bool {
    let conversation = state.conversations.get(&case.conversation_id);
    let current = conversation.and_then(|c| c.current_case_id).and_then(|id| state.cases.get(&id));
    current.is_none_or(|current| current.status == CaseStatus::Closed)
}
