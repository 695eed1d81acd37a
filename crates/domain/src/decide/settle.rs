//! What the provider's list tells of a text of which nobody knows whether the provider took it. Whose an id on the
//! list is, [`crate::settle`] says; here is what follows.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::attempt::{LONGEST_WAIT, entry};
use super::report::OPTED_OUT;
use super::{Decision, Outcome, Sighting};
use crate::address::Address;
use crate::case::Trail;
use crate::line::{Line, Rules, WhenUncertain};
use crate::message::{Direction, Message};
use crate::outbox::{OutboxState, Outgoing, Settling};
use crate::settle::{Answer, Attribution, Claimant, Listed, Look, SKEW, attribute};
use crate::state::{Effect, State};
use crate::status::{DeliveryStatus, Progress};
use crate::suppression::Suppression;

/// How long a text that left the outbox without an id may still own one: when its attempts began is not kept. An id
/// can be created minutes after, so a day is ample.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(1);

pub(super) fn decide(rules: &Rules, state: &State, look: &Look) -> Decision {
    let message = state.messages.get(&look.message_id);
    let row = state.outbox.get(&look.message_id);
    let row = row.filter(|row| row.attempt == look.attempt && row.state == OutboxState::Uncertain);
    // A callback, a person or a late answer was there first.
    let (Some(message), Some(row)) = (message, row) else { return done(Sighting::Over, Vec::new()) };
    let (texts, complete) = match &look.answer {
        Answer::Unreadable { retry_after } => return unreadable(state, look, message, row, *retry_after),
        Answer::Listed { texts, complete } => (texts, *complete),
    };
    let case = Case { rules, state, message, row };
    let unbound: Vec<_> = texts.iter().filter(|text| case.is_unbound(text)).collect();
    let alike = |text: &&&Listed| text.as_ours && text.body == message.body;
    let free = unbound.iter().filter(alike).filter_map(|text| Some((text.created_at?, text.sid.clone())));
    let free: Vec<_> = free.collect();
    let rivals = case.rivals();
    match attribute(&claimant(row), &rivals, &free) {
        Attribution::Its(sid, more) => case.bind(texts, sid, &more),
        _ if !look.last => case.later(),
        Attribution::Absent if complete && unbound.is_empty() && rivals.is_empty() => {
            case.absent(look.resends_most)
        }
        Attribution::Unclear => case.hold("ambiguous"),
        // A person is told that it is not on the list only where nothing there could be it.
        Attribution::Absent if !unbound.is_empty() => case.hold("ambiguous"),
        Attribution::Absent if !complete => case.hold("not_read_whole"),
        Attribution::Absent => case.hold("not_found"),
    }
}

fn done(sighting: Sighting, effects: Vec<Effect>) -> Decision {
    Decision { outcome: Outcome::Looked(sighting), effects }
}

/// The list could not be read: it is read again, for as long as it takes. After the last time it should have been, a
/// person may decide meanwhile.
fn unreadable(
    state: &State,
    look: &Look,
    message: &Message,
    row: &Outgoing,
    retry_after: Duration,
) -> Decision {
    let wait = TimeDelta::from_std(retry_after).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
    let newly_held = look.last && row.settling.held_at.is_none();
    let held_at = row.settling.held_at.or(look.last.then_some(state.at));
    let settling = Settling { look_at: Some(state.at + wait), held_at, ..row.settling };
    let mut effects = vec![Effect::PutOutgoing(Outgoing { settling, ..row.clone() })];
    if newly_held {
        effects.extend(unsettled(state, message, row, "list_unreadable"));
    }
    done(if newly_held { Sighting::Held } else { Sighting::Later }, effects)
}

fn unsettled(state: &State, message: &Message, row: &Outgoing, because: &str) -> Option<Effect> {
    let why = json!({ "because": because });
    let change = json!({ "message": message.id, "attempt": row.attempt });
    entry(state, message, Trail::SendUnsettled, why, change)
}

/// When the attempts of a message may have reached the provider, and how many there may have been.
fn claimant(row: &Outgoing) -> Claimant {
    let settling = &row.settling;
    // A version that did not keep it began the attempt: after it was queued, and before it was called uncertain.
    let last = settling.attempted_at.unwrap_or(row.due_at);
    let first = settling.searched_from.or(settling.attempted_at).unwrap_or(row.queued_at);
    let resends = usize::try_from(settling.resends).unwrap_or(usize::MAX);
    let pending = row.state == OutboxState::Pending;
    Claimant {
        attempts: Some((first, last)),
        sent: if pending { resends } else { resends.saturating_add(1) },
        sending: row.state == OutboxState::Sending,
        id: row.message_id,
    }
}

/// An uncertain text, and what is known around it.
struct Case<'a> {
    rules: &'a Rules,
    state: &'a State,
    message: &'a Message,
    row: &'a Outgoing,
}

impl Case<'_> {
    /// Whether a text on the list may have to do with this one: it is new enough even if a clock is wrong, and no text
    /// of ours has its id.
    fn is_unbound(&self, text: &Listed) -> bool {
        let Some((first, _)) = claimant(self.row).attempts else { return true };
        let bound = self.state.sids.contains_key(&(self.message.account_id, text.sid.clone()));
        !bound && text.created_at.is_none_or(|created| created >= first - SKEW)
    }

    /// The other texts of ours that an id with these words may belong to.
    fn rivals(&self) -> Vec<Claimant> {
        let this = self.message;
        let alike = |other: &&Message| {
            other.id != this.id
                && other.direction == Direction::Outbound
                && other.provider_sid.is_none()
                && (other.account_id, other.contact_id) == (this.account_id, this.contact_id)
                && other.body == this.body
                && self.same_sender(other)
        };
        self.state.messages.values().filter(alike).filter_map(|other| self.rival(other)).collect()
    }

    fn same_sender(&self, other: &Message) -> bool {
        let sender = |message: &Message| self.rules.line_by_id(message.line_id).map(|line| &line.address);
        let (ours, theirs) = (sender(self.message), sender(other));
        // Which number a Messaging Service picks is not known: it may be that of a line.
        let picks = |sender: Option<&Address>| sender.is_none_or(Address::is_messaging_service);
        ours == theirs || picks(ours) || picks(theirs)
    }

    fn rival(&self, other: &Message) -> Option<Claimant> {
        match self.state.outbox.get(&other.id) {
            // What is pending was surely not processed, unless it is to be sent again.
            Some(row) => Some(claimant(row)).filter(|claimant| claimant.sent > 0),
            None if other.processed_at <= self.state.at - FORGOTTEN_AFTER => None,
            None => Some(Claimant { attempts: None, sent: 1, sending: false, id: other.id }),
        }
    }

    fn bind(&self, texts: &[Listed], sid: String, more: &[String]) -> Decision {
        let Self { state, message, row, .. } = *self;
        let listed = texts.iter().find(|text| text.sid == sid);
        let error_code = listed.and_then(|text| text.error_code);
        let status = listed.and_then(|text| text.status).unwrap_or(DeliveryStatus::Queued);
        let progress = message.progress.join(Progress::of(status, error_code));
        let change = json!({
            "message": message.id, "attempt": row.attempt, "provider_sid": sid, "status": progress.status(),
        });
        let why = || json!({ "rule": "provider_list" });
        let bound = Message { provider_sid: Some(sid), progress, ..message.clone() };
        let mut effects = vec![Effect::PutMessage(bound), Effect::Dequeue(message.id)];
        effects.extend(entry(state, message, Trail::SendAccepted, why(), change));
        for sid in more {
            let change = json!({ "message": message.id, "provider_sid": sid });
            effects.extend(entry(state, message, Trail::DuplicateSendDetected, why(), change));
        }
        if error_code == Some(OPTED_OUT) {
            let refused = Suppression::refused(state.at);
            effects.push(Effect::Suppress(message.line_id, message.contact_id, refused));
        }
        done(Sighting::Found { duplicate_send: !more.is_empty() }, effects)
    }

    fn put(&self, settling: Settling) -> Effect {
        Effect::PutOutgoing(Outgoing { settling, ..self.row.clone() })
    }

    fn later(&self) -> Decision {
        let looks = self.row.settling.looks.saturating_add(1);
        done(Sighting::Later, vec![self.put(Settling { looks, look_at: None, ..self.row.settling })])
    }

    /// The provider does not list it, nor any other text that could be it.
    fn absent(&self, resends_most: u32) -> Decision {
        let line = self.rules.line_by_id(self.message.line_id).filter(|line| line.active);
        let wanted = line.is_some_and(|line: &Line| line.when_uncertain == WhenUncertain::Resend);
        // While it holds its lane, the attempt is too fresh to be given up.
        let ripe = self.state.at >= self.row.due_at;
        if !wanted || !ripe || self.row.settling.resends >= resends_most {
            return self.hold("not_found");
        }
        let change = json!({ "message": self.message.id, "attempt": self.row.attempt });
        let why = json!({ "rule": "when_uncertain_resend", "because": "not_found" });
        let mut effects = vec![Effect::PutOutgoing(again(self.row, self.state.at))];
        effects.extend(entry(self.state, self.message, Trail::SentAgain, why, change));
        done(Sighting::SentAgain, effects)
    }

    /// The list tells no more: a person must decide.
    fn hold(&self, because: &str) -> Decision {
        let settling = self.row.settling;
        let held = Settling {
            looks: settling.looks.saturating_add(1),
            look_at: None,
            held_at: settling.held_at.or(Some(self.state.at)),
            ..settling
        };
        let mut effects = vec![self.put(held)];
        if settling.held_at.is_none() {
            effects.extend(unsettled(self.state, self.message, self.row, because));
        }
        done(Sighting::Held, effects)
    }
}

/// A text that the provider may have, waiting for another attempt.
pub(super) fn again(row: &Outgoing, at: DateTime<Utc>) -> Outgoing {
    let settling = row.settling;
    Outgoing {
        state: OutboxState::Pending,
        due_at: at,
        lease_until: None,
        settling: Settling {
            searched_from: settling.searched_from.or(settling.attempted_at).or(Some(row.queued_at)),
            looks: 0,
            look_at: None,
            held_at: None,
            resends: settling.resends.saturating_add(1),
            ..settling
        },
        ..row.clone()
    }
}
