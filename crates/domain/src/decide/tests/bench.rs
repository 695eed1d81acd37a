//! Three lines, a clock that is moved by hand, and short ways to say what happens.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::shelf::Shelf;
use crate::case::{Case, CaseStatus, Trail, TrailEntry};
use crate::command::{Command, EventFacts, Reply};
use crate::decide::{Outcome, decide};
use crate::line::{Acknowledgements, DEFAULT_ON_OPEN, DEFAULT_ON_REOPEN, Guard, Line, Rules, WhenUncertain};
use crate::message::{Direction, Message, Rule};
use crate::outbox::{AttemptOutcome, OutboxState};
use crate::plan::{Keys, plan};
use crate::state::State;
use crate::template::Template;
use crate::{
    AccountId, Address, CaseNumber, DedupeId, DeliveryStatus, EventKind, InboundText, LineId, Location,
    MessageId, Region, StatusReport, Text, WorkspaceId,
};

pub(super) const HEATHER: &str = "+12065550100";
pub(super) const IAN: &str = "+12065550101";
/// The line most stories are about, and another one of the same account.
pub(super) const MAIN: &str = "main";
pub(super) const SECOND: &str = "second";
/// A line of another account and another workspace.
pub(super) const FOREIGN: &str = "foreign";
pub(super) const ANNA: &str = "agent:anna";

pub(super) struct Bench {
    pub(super) lines: Vec<Line>,
    pub(super) shelf: Shelf,
    pub(super) now: DateTime<Utc>,
    minted: u128,
    sids: u128,
}

/// A text about to be sent; every part can still be changed.
pub(super) struct Draft {
    pub(super) facts: EventFacts,
    pub(super) text: InboundText,
}

impl From<Draft> for Command {
    fn from(draft: Draft) -> Self {
        Command::Text(draft.facts.into(), draft.text)
    }
}

pub(super) fn line(webhook_id: &str, address: &str, account: u128) -> Line {
    Line {
        id: LineId(Uuid::from_u128(address.bytes().map(u128::from).sum())),
        workspace_id: WorkspaceId(Uuid::from_u128(1)),
        account_id: AccountId(Uuid::from_u128(account)),
        webhook_id: webhook_id.into(),
        address: Address::parse(address, Region::US).unwrap(),
        region: Region::US,
        active: true,
        acknowledgements: Acknowledgements {
            on_open: Template::parse(DEFAULT_ON_OPEN).unwrap(),
            on_reopen: Template::parse(DEFAULT_ON_REOPEN).unwrap(),
            on_update: None,
        },
        guard: Guard::default(),
        when_uncertain: WhenUncertain::Hold,
    }
}

/// Of a report: whether the provider has two texts, and whether one was settled that nobody knew of.
pub(super) fn reported(outcome: &Outcome) -> Option<(bool, bool)> {
    match outcome {
        Outcome::Reported { duplicate_send, settled, .. } => Some((*duplicate_send, *settled)),
        _ => None,
    }
}

pub(super) fn facts(line: &str, kind: EventKind, id: String, at: DateTime<Utc>) -> EventFacts {
    let dedupe_id = DedupeId::new(id).unwrap();
    let (line, raw) = (line.into(), b"raw".to_vec());
    EventFacts { dedupe_id, kind, line, received_at: at, raw, trace: None }
}

pub(super) fn accepted(sid: &str) -> AttemptOutcome {
    AttemptOutcome::Accepted { provider_sid: sid.into(), status: DeliveryStatus::Queued }
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut lines = vec![
            line(MAIN, "+15550001111", 1),
            line(SECOND, "+15550003333", 1),
            line(FOREIGN, "+442079460958", 2),
        ];
        lines[2].workspace_id = WorkspaceId(Uuid::from_u128(2));
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        Self { lines, shelf: Shelf::default(), now, minted: 0, sids: 0 }
    }

    pub(super) fn main(&mut self) -> &mut Line {
        &mut self.lines[0]
    }

    pub(super) fn wait(&mut self, span: TimeDelta) {
        self.now += span;
    }

    /// Decides a batch as the store does: its texts taken for new, or looked up where a unique key says otherwise.
    pub(super) fn batch(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let minted = self.minted;
        let (hoped, hopeful) = self.decided(commands, false);
        let after = std::mem::replace(&mut self.minted, minted);
        let (outcomes, doubtful) = self.decided(commands, true);
        if self.shelf.refuses(&hopeful) {
            self.shelf.keep(doubtful);
        } else {
            assert_eq!(hoped, outcomes, "what was not looked up and is not refused makes no difference");
            self.minted = after;
            self.shelf.keep(hopeful);
        }
        outcomes
    }

    /// Plan, load, fold.
    fn decided(&mut self, commands: &[Command], doubtful: bool) -> (Vec<Outcome>, State) {
        let rules = Rules::new(self.lines.clone());
        let mut keys = Keys { doubtful, ..Keys::default() };
        commands.iter().for_each(|command| plan(&rules, command, &mut keys));
        let texts = commands.iter().filter(|command| matches!(command, Command::Text(..))).count();
        let mut state = self.shelf.load(&keys, self.now, u32::try_from(texts).unwrap());
        let outcomes = commands.iter().map(|command| self.step(&rules, &mut state, command)).collect();
        (outcomes, state)
    }

    fn step(&mut self, rules: &Rules, state: &mut State, command: &Command) -> Outcome {
        let mut mint = || {
            self.minted += 1;
            Uuid::from_u128(self.minted)
        };
        let decision = decide(rules, state, command, &mut mint);
        state.apply(decision.effects);
        decision.outcome
    }

    pub(super) fn take(&mut self, command: impl Into<Command>) -> Outcome {
        self.batch(&[command.into()]).remove(0)
    }

    /// An id the provider never gave before.
    pub(super) fn sid(&mut self) -> String {
        self.sids += 1;
        format!("SM{:032x}", self.sids)
    }

    pub(super) fn draft(&mut self, from: &str, body: &str) -> Draft {
        self.draft_on(MAIN, from, body)
    }

    pub(super) fn draft_on(&mut self, line: &str, from: &str, body: &str) -> Draft {
        let provider_sid = self.sid();
        let text = InboundText {
            from: from.into(),
            to: "+15550001111".into(),
            body: Text::new(body),
            media: Vec::new(),
            location: Location::default(),
            opt_out: None,
            provider_sid: provider_sid.clone(),
        };
        Draft { facts: facts(line, EventKind::Message, format!("i:AC1:{provider_sid}"), self.now), text }
    }

    pub(super) fn text(&mut self, from: &str, body: &str) -> Outcome {
        let draft = self.draft(from, body);
        self.take(draft)
    }

    /// Sends a text; the case it is in, and the rule that placed it.
    pub(super) fn placed(&mut self, from: &str, body: &str) -> (CaseNumber, Rule) {
        let draft = self.draft(from, body);
        self.place(draft)
    }

    pub(super) fn place(&mut self, draft: Draft) -> (CaseNumber, Rule) {
        match self.take(draft) {
            Outcome::Placed { case, rule, .. } => (case, rule),
            other => unreachable!("not placed: {other:?}"),
        }
    }

    pub(super) fn set(&mut self, case: CaseNumber, status: CaseStatus) {
        let outcome = self.take(Command::SetStatus { case, status, actor: ANNA.into() });
        assert_eq!(outcome, Outcome::StatusSet);
    }

    pub(super) fn reply(&mut self, case: CaseNumber, body: &str, key: Option<&str>) -> Outcome {
        let (body, author) = (Text::new(body), ANNA.to_owned());
        self.take(Command::Reply(Reply {
            case,
            body,
            author,
            idempotency_key: key.map(Into::into),
            trace: None,
        }))
    }

    /// Begins an attempt for every message that waits, as a claim does.
    pub(super) fn claim(&mut self) -> Vec<(MessageId, u32)> {
        let due = |row: &&mut crate::outbox::Outgoing| row.state == OutboxState::Pending;
        let claimed = self.shelf.outbox.values_mut().filter(due).map(|row| {
            row.attempt += 1;
            row.state = OutboxState::Sending;
            row.lease_until = Some(self.now + TimeDelta::minutes(1));
            row.settling = row.settling.of_attempt(self.now);
            (row.message_id, row.attempt)
        });
        claimed.collect()
    }

    pub(super) fn attempted(&mut self, id: MessageId, attempt: u32, outcome: AttemptOutcome) -> Outcome {
        self.take(Command::Attempted { message_id: id, attempt, outcome, trace: None })
    }

    pub(super) fn report(
        &self,
        sid: &str,
        status: DeliveryStatus,
        ours: Option<(MessageId, u32)>,
    ) -> Command {
        self.report_on(MAIN, sid, status, None, ours)
    }

    pub(super) fn report_on(
        &self,
        line: &str,
        sid: &str,
        status: DeliveryStatus,
        error_code: Option<u32>,
        ours: Option<(MessageId, u32)>,
    ) -> Command {
        let id = format!("s:{line}:{sid}:{}:{}", status.as_str(), error_code.unwrap_or_default());
        let report = StatusReport { provider_sid: sid.into(), status, error_code, ours };
        Command::Status(facts(line, EventKind::MessageStatus, id, self.now).into(), report)
    }

    /// A case whose acknowledgement is on its way, in its first attempt.
    pub(super) fn sending(&mut self) -> (CaseNumber, MessageId) {
        let (case, _) = self.placed(HEATHER, "my heater is broken");
        let claimed = self.claim();
        let [(id, 1)] = claimed[..] else { unreachable!("{claimed:?}") };
        (case, id)
    }

    pub(super) fn case(&self, number: CaseNumber) -> &Case {
        self.shelf.cases.values().find(|case| case.number == number).unwrap()
    }

    /// The texts of a case in the order in which people see them.
    pub(super) fn thread(&self, number: CaseNumber) -> Vec<&Message> {
        let case = self.case(number).id;
        let mut texts: Vec<_> = self.shelf.messages.values().filter(|m| m.case_id == Some(case)).collect();
        texts.sort_by_key(|message| (message.received_at, message.id));
        texts
    }

    pub(super) fn last(&self, direction: Direction) -> &Message {
        self.shelf.messages.values().rev().find(|message| message.direction == direction).unwrap()
    }

    pub(super) fn message(&self, id: MessageId) -> &Message {
        &self.shelf.messages[&id]
    }

    pub(super) fn outbox(&self, id: MessageId) -> Option<OutboxState> {
        self.shelf.outbox.get(&id).map(|row| row.state)
    }

    pub(super) fn trail(&self, kind: Trail) -> Vec<&TrailEntry> {
        self.shelf.trail.iter().filter(|entry| entry.kind == kind).collect()
    }

    /// How many automatic replies were queued so far.
    pub(super) fn answers(&self) -> usize {
        self.shelf.messages.values().filter(|message| message.automatic).count()
    }
}
