//! A delivery callback: how far one of our texts has come. It may come before we know that the provider
//! took the text, twice, or late.

use std::sync::Arc;

use serde_json::json;

use super::{Decision, Outcome, event_row, set_aside};
use crate::case::{Trail, TrailEntry};
use crate::command::EventFacts;
use crate::inbound::StatusReport;
use crate::json::Json;
use crate::line::{Line, Rules};
use crate::message::{Direction, Message};
use crate::outbox::OutboxState;
use crate::state::{Effect, EventOutcome, State};
use crate::status::{DeliveryStatus, Progress};
use crate::suppression::Suppression;

/// The provider's error for a contact who has opted out. Source: Twilio error 21610.
pub(super) const OPTED_OUT: u32 = 21610;

pub(super) fn decide(
    rules: &Rules,
    state: &State,
    facts: &Arc<EventFacts>,
    report: &StatusReport,
) -> Decision {
    let Some(line) = rules.line(&facts.line) else {
        return set_aside(state, facts, "there is no line of this webhook id");
    };
    let message = match find(state, line, report) {
        Err(contradiction) => return set_aside(state, facts, contradiction),
        Ok(None) => return wait(state, facts, report),
        Ok(Some(message)) => message,
    };
    let another = message.provider_sid.as_ref().is_some_and(|known| *known != report.provider_sid);
    let decide = if another { another_text } else { progressed };
    let mut decision = decide(state, facts, report, message);
    if report.error_code == Some(OPTED_OUT) {
        let refused = Suppression::refused(facts.received_at);
        decision.effects.push(Effect::Suppress(message.line_id, message.contact_id, refused));
    }
    decision
}

/// Our message: by the path we gave for it, else by the provider's id. A report is believed only of texts
/// that went out through the account that signed it, and only where path and id agree; the error says why not.
fn find<'a>(
    state: &'a State,
    line: &Line,
    report: &StatusReport,
) -> Result<Option<&'a Message>, &'static str> {
    let named = report.ours.and_then(|(id, _)| state.messages.get(&id));
    let bound = state.sids.get(&(line.account_id, report.provider_sid.clone()));
    let bound = bound.and_then(|id| state.messages.get(id));
    match (named, bound) {
        (Some(named), Some(bound)) if named.id != bound.id => {
            Err("the provider's id belongs to another text than the path")
        }
        (Some(named), _) if named.account_id != line.account_id => {
            Err("the text of its path went through another account")
        }
        (named, bound) => match named.or(bound) {
            Some(message) if message.direction == Direction::Inbound => {
                Err("it reports on a text that came in")
            }
            found => Ok(found),
        },
    }
}

/// No text is known by this id: its own transaction may not have committed yet.
fn wait(state: &State, facts: &Arc<EventFacts>, report: &StatusReport) -> Decision {
    let reason = "no text of ours is known by this id".to_owned();
    let mut row = event_row(state, facts, EventOutcome::Waiting, reason);
    row.provider_sid = Some(report.provider_sid.clone());
    Decision { outcome: Outcome::Waiting, effects: vec![Effect::PutEvent(row)] }
}

/// The provider holds a second text for one message: an attempt that looked lost was not.
fn another_text(
    state: &State,
    facts: &Arc<EventFacts>,
    report: &StatusReport,
    message: &Message,
) -> Decision {
    let reason = "the provider has another text for this message".to_owned();
    let mut effects = vec![Effect::PutEvent(event_row(state, facts, EventOutcome::Handled, reason))];
    let attempt = report.ours.map(|(_, attempt)| attempt);
    let change = json!({ "message": message.id, "attempt": attempt, "provider_sid": report.provider_sid });
    effects.extend(entry(state, message, Trail::DuplicateSendDetected, change));
    let trace = message.trace.clone();
    let outcome = Outcome::Reported { duplicate_send: true, settled: false, delivered_after: None, trace };
    Decision { outcome, effects }
}

fn progressed(state: &State, facts: &Arc<EventFacts>, report: &StatusReport, message: &Message) -> Decision {
    let before = message.progress;
    let after = before.join(Progress::of(report.status, report.error_code));
    let mut effects = vec![Effect::PutEvent(event_row(state, facts, EventOutcome::Handled, None))];
    if after != before || message.provider_sid.is_none() {
        effects.push(Effect::PutMessage(Message {
            progress: after,
            provider_sid: Some(report.provider_sid.clone()),
            ..message.clone()
        }));
    }
    if after.status() != before.status() || after.error_code() != before.error_code() {
        let change = json!({
            "message": message.id,
            "status": after.status(),
            "error_code": after.error_code(),
            "conflict": after.conflict(),
        });
        effects.extend(entry(state, message, Trail::DeliveryChanged, change));
    }
    // Whatever we thought of the attempt: the provider has the text, so it must not be sent again.
    let row = state.outbox.get(&message.id);
    if row.is_some() {
        effects.push(Effect::Dequeue(message.id));
    }
    let settled = row.is_some_and(|row| row.state == OutboxState::Uncertain);
    let now_delivered = after.status() != before.status() && after.status() == DeliveryStatus::Delivered;
    let wait = (facts.received_at - message.processed_at).to_std().unwrap_or_default();
    let outcome = Outcome::Reported {
        duplicate_send: false,
        settled,
        delivered_after: now_delivered.then_some(wait),
        trace: message.trace.clone(),
    };
    Decision { outcome, effects }
}

fn entry(state: &State, message: &Message, kind: Trail, change: serde_json::Value) -> Option<Effect> {
    let case_id = message.case_id?;
    let (why, change) = (Json::of(json!({ "rule": "delivery_callback" })), Json::of(change));
    Some(Effect::Trail(TrailEntry { case_id, actor: "provider".into(), kind, why, change, at: state.at }))
}
