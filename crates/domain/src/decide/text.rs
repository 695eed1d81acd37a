//! A customer's text: which case it is in, and what is answered without a person.

use std::sync::Arc;

use serde::Serialize;

use super::{Decision, Outcome, event_row, set_aside, trail};
use crate::address::Address;
use crate::case::{Case, CaseStatus, Conversation, Trail, subject_of};
use crate::command::EventFacts;
use crate::id::{CaseId, CaseNumber, MessageId, Mint};
use crate::inbound::{InboundText, Keyword};
use crate::line::{Line, Rules};
use crate::message::{Because, Direction, Message, PassedOver, Rule, Why};
use crate::reference::case_numbers;
use crate::state::{Effect, EventOutcome, State};
use crate::suppression::Suppression;

mod acknowledge;

/// A text with everything known about it.
struct Arrival<'a> {
    rules: &'a Rules,
    state: &'a State,
    line: &'a Line,
    facts: &'a Arc<EventFacts>,
    text: &'a InboundText,
    conversation: &'a Conversation,
}

pub(super) fn decide(
    rules: &Rules,
    state: &State,
    facts: &Arc<EventFacts>,
    text: &InboundText,
    mint: Mint<'_>,
) -> Decision {
    let Some(line) = rules.line(&facts.line) else {
        return set_aside(state, facts, "there is no line of this webhook id");
    };
    if state.sids.contains_key(&(line.account_id, text.provider_sid.clone())) {
        let row = event_row(state, facts, EventOutcome::Handled, "the text was stored before".to_owned());
        return Decision { outcome: Outcome::Duplicate, effects: vec![Effect::PutEvent(row)] };
    }
    let Ok(address) = Address::parse(&text.from, line.region) else {
        return set_aside(state, facts, "the text has no usable sender");
    };
    let Some(conversation) = state.conversation(line.id, address) else {
        return set_aside(state, facts, "the sender's conversation was not loaded");
    };
    let arrival = Arrival { rules, state, line, facts, text, conversation };
    let keyword = text.keyword();
    let said = keyword.and_then(|keyword| Suppression::said(keyword, facts.received_at));
    let mut decision = match keyword {
        // START means something only to somebody who had stopped.
        Some(Keyword::Start) if !arrival.lifts(said) => arrival.place(mint),
        Some(keyword) => arrival.record(keyword, mint),
        None => arrival.place(mint),
    };
    // A START is remembered even so: a STOP from before it may still come.
    decision.effects.extend(said.map(|said| Effect::Suppress(line.id, conversation.contact_id, said)));
    decision
}

/// What the trail tells of a text.
#[derive(Serialize)]
struct Placed {
    message: MessageId,
    status: CaseStatus,
}

/// Where a text goes.
struct Placement {
    rule: Rule,
    case: Option<CaseId>,
    passed_over: Vec<PassedOver>,
}

impl Arrival<'_> {
    fn suppressed(&self) -> bool {
        self.state.suppressed(self.line.id, self.conversation.contact_id)
    }

    /// Whether what is said ends a suppression.
    fn lifts(&self, said: Option<Suppression>) -> bool {
        let known = self.state.suppressions.get(&(self.line.id, self.conversation.contact_id));
        self.suppressed() && said.is_some_and(|said| said.overrules(known))
    }

    /// A keyword is kept and acted on, and opens no case: the provider answers it.
    fn record(&self, keyword: Keyword, mint: Mint<'_>) -> Decision {
        let (rule, reason) = match keyword {
            Keyword::Stop => (Rule::Stop, "the contact opted out"),
            Keyword::Start => (Rule::Start, "the contact opted in again"),
            Keyword::Help => (Rule::Help, "the provider answers a request for help"),
        };
        let message = self.message(None, Why::rule(rule), mint);
        let row = event_row(self.state, self.facts, EventOutcome::Handled, reason.to_owned());
        let effects = vec![Effect::AddMessage(message), Effect::PutEvent(row)];
        Decision { outcome: Outcome::Recorded, effects }
    }

    fn message(&self, case_id: Option<CaseId>, why: Why, mint: Mint<'_>) -> Message {
        Message {
            id: mint().into(),
            account_id: self.line.account_id,
            line_id: self.line.id,
            conversation_id: self.conversation.id,
            contact_id: self.conversation.contact_id,
            case_id,
            direction: Direction::Inbound,
            provider_sid: Some(self.text.provider_sid.clone()),
            body: self.text.body.clone(),
            media: self.text.media.clone(),
            automatic: false,
            author: None,
            cause_id: None,
            progress: Default::default(),
            why,
            received_at: self.facts.received_at,
            processed_at: self.state.at,
            trace: self.facts.trace.clone(),
        }
    }

    fn place(&self, mint: Mint<'_>) -> Decision {
        let placement = self.placement();
        let (case, kind) = match placement.case.and_then(|id| self.state.cases.get(&id)) {
            Some(case) => self.join(case),
            None => match self.open(mint) {
                Some(case) => (case, Trail::CaseOpened),
                None => return set_aside(self.state, self.facts, "no case number was left"),
            },
        };
        let why = Why { rule: placement.rule, passed_over: placement.passed_over };
        let told = why.without_words();
        let message = self.message(Some(case.id), why, mint);
        let change = Placed { message: message.id, status: case.status };
        let entry = trail(self.state, &case, "customer", kind, told, change);
        let row = event_row(self.state, self.facts, EventOutcome::Handled, None);
        let Some(answer) = self.acknowledge(&case, kind, &message, mint) else {
            return set_aside(self.state, self.facts, "who is to be answered was not loaded");
        };
        let answered = answer.iter().any(|effect| matches!(effect, Effect::PutOutgoing(_)));
        let outcome = Outcome::Placed { case: case.number, rule: placement.rule, answered };
        let mut effects = vec![
            Effect::SetCurrent(self.conversation.id, case.id),
            Effect::PutCase(case),
            Effect::AddMessage(message),
            entry,
            Effect::PutEvent(row),
        ];
        effects.extend(answer);
        Decision { outcome, effects }
    }

    /// The case a text joins: the one it names, else its conversation's current one while that is not closed.
    fn placement(&self) -> Placement {
        let mut passed_over = Vec::new();
        let mut named = None;
        for number in case_numbers(self.text.body.reveal()) {
            match self.follow(number, named.is_some()) {
                Ok(case) => named = Some(case),
                Err(because) => passed_over.push(PassedOver { number, because }),
            }
        }
        if let Some(case) = named {
            let closed = case.status == CaseStatus::Closed;
            let rule = if closed { Rule::ReopenedByNumber } else { Rule::JoinedByNumber };
            return Placement { rule, case: Some(case.id), passed_over };
        }
        let current = self.conversation.current_case_id.and_then(|id| self.state.cases.get(&id));
        match current {
            Some(case) if case.status != CaseStatus::Closed => {
                Placement { rule: Rule::JoinedCurrent, case: Some(case.id), passed_over }
            }
            Some(_) => Placement { rule: Rule::OpenedAfterClosing, case: None, passed_over },
            None => Placement { rule: Rule::OpenedFirst, case: None, passed_over },
        }
    }

    fn follow(&self, number: CaseNumber, followed: bool) -> Result<&Case, Because> {
        let case = self.state.case(number).filter(|case| case.workspace_id == self.line.workspace_id);
        let case = case.ok_or(Because::NoSuchCase)?;
        if case.contact_id != self.conversation.contact_id {
            return Err(Because::NotAParticipant);
        }
        if followed { Err(Because::AnotherFollowed) } else { Ok(case) }
    }

    fn join(&self, case: &Case) -> (Case, Trail) {
        let kind = if case.status == CaseStatus::Closed { Trail::CaseReopened } else { Trail::TextJoined };
        let joined = Case {
            status: CaseStatus::Open,
            conversation_id: self.conversation.id,
            line_id: self.line.id,
            opened_at: case.opened_at.min(self.facts.received_at),
            closed_at: None,
            unanswered_since: case.waits_since().into_iter().chain([self.facts.received_at]).min(),
            ..case.touched(self.state.at)
        };
        (joined, kind)
    }

    fn open(&self, mint: Mint<'_>) -> Option<Case> {
        Some(Case {
            id: mint().into(),
            workspace_id: self.line.workspace_id,
            number: *self.state.free_numbers.front()?,
            conversation_id: self.conversation.id,
            line_id: self.line.id,
            contact_id: self.conversation.contact_id,
            status: CaseStatus::Open,
            subject: subject_of(&self.text.body, !self.text.media.is_empty()),
            opened_at: self.facts.received_at,
            updated_at: self.state.at,
            closed_at: None,
            unanswered_since: Some(self.facts.received_at),
        })
    }
}
