//! A delivery callback: how far one of our texts has come. It may come before we know that the provider
//! took the text, twice, or late.

use serde_json::json;

use super::{Decision, Outcome, event_row};
use crate::case::{Trail, TrailEntry};
use crate::command::EventFacts;
use crate::inbound::StatusReport;
use crate::line::Rules;
use crate::message::Message;
use crate::state::{Effect, EventOutcome, State};
use crate::status::Progress;
use crate::suppression::Suppression;

/// The provider's error for a contact who has opted out. Source: Twilio error 21610.
pub(super) const OPTED_OUT: u32 = 21610;

pub(super) fn decide(rules: &Rules, state: &State, facts: &EventFacts, report: &StatusReport) -> Decision {
    let Some(message) = find(rules, state, facts, report) else {
        let mut row =
            event_row(state, facts, EventOutcome::Waiting, "no text of ours is known by this id".to_owned());
        row.provider_sid = Some(report.provider_sid.clone());
        return Decision { outcome: Outcome::Waiting, effects: vec![Effect::PutEvent(row)] };
    };
    match &message.provider_sid {
        Some(known) if *known != report.provider_sid => another_text(state, facts, report, message),
        _ => progressed(state, facts, report, message),
    }
}

/// Our message: by the path we gave for it, else by the provider's id.
fn find<'a>(
    rules: &Rules,
    state: &'a State,
    facts: &EventFacts,
    report: &StatusReport,
) -> Option<&'a Message> {
    let line = rules.line(&facts.line)?;
    let by_path = report.ours.and_then(|(id, _)| state.messages.get(&id));
    let by_sid = || {
        state.sids.get(&(line.account_id, report.provider_sid.clone())).and_then(|id| state.messages.get(id))
    };
    by_path.or_else(by_sid).filter(|message| message.account_id == line.account_id)
}

/// The provider holds a second text for one message: an attempt that looked lost was not.
fn another_text(state: &State, facts: &EventFacts, report: &StatusReport, message: &Message) -> Decision {
    let reason = "the provider has another text for this message".to_owned();
    let mut effects = vec![Effect::PutEvent(event_row(state, facts, EventOutcome::Handled, reason))];
    let attempt = report.ours.map(|(_, attempt)| attempt);
    let change = json!({ "message": message.id, "attempt": attempt, "provider_sid": report.provider_sid });
    effects.extend(entry(state, message, Trail::DuplicateSendDetected, change));
    Decision { outcome: Outcome::Reported { duplicate_send: true }, effects }
}

fn progressed(state: &State, facts: &EventFacts, report: &StatusReport, message: &Message) -> Decision {
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
    if state.outbox.contains_key(&message.id) {
        effects.push(Effect::Dequeue(message.id));
    }
    if report.error_code == Some(OPTED_OUT) {
        effects.push(Effect::Suppress(
            message.line_id,
            message.contact_id,
            Suppression::refused(facts.received_at),
        ));
    }
    Decision { outcome: Outcome::Reported { duplicate_send: false }, effects }
}

fn entry(state: &State, message: &Message, kind: Trail, change: serde_json::Value) -> Option<Effect> {
    let case_id = message.case_id?;
    let why = json!({ "rule": "delivery_callback" });
    Some(Effect::Trail(TrailEntry { case_id, actor: "provider".into(), kind, why, change, at: state.at }))
}
