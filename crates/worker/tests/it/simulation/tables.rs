//! A database of maps, decided on by the real rules: what the store does in SQL, in one step each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use casewire_domain::case::{Case, Conversation};
use casewire_domain::command::Command;
use casewire_domain::contact::{Contact, generated_email, generated_name};
use casewire_domain::decide::{Outcome, decide};
use casewire_domain::directory::AccountEntry;
use casewire_domain::line::Rules;
use casewire_domain::message::{Direction, Message};
use casewire_domain::outbox::{OutboxState, Outgoing};
use casewire_domain::plan::{Keys, plan};
use casewire_domain::state::{EventOutcome, EventRow, State};
use casewire_domain::suppression::Suppression;
use casewire_domain::{
    AccountId, Address, CaseId, CaseNumber, ContactId, ConversationId, DedupeId, LineId, MessageId, Progress,
    Text, WorkspaceId,
};
use casewire_store::{Claim, Claimed, LookFor, Unsettled};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::world::Safeguard;

pub(crate) struct Tables {
    pub(crate) rules: Rules,
    pub(crate) account: AccountEntry,
    pub(crate) contacts: BTreeMap<ContactId, Contact>,
    pub(crate) conversations: BTreeMap<ConversationId, Conversation>,
    pub(crate) cases: BTreeMap<CaseId, Case>,
    pub(crate) messages: BTreeMap<MessageId, Message>,
    pub(crate) outbox: BTreeMap<MessageId, Outgoing>,
    pub(crate) events: BTreeMap<DedupeId, EventRow>,
    suppressions: BTreeMap<(LineId, ContactId), Suppression>,
    sids: BTreeMap<(AccountId, String), MessageId>,
    replies: BTreeMap<(String, String), MessageId>,
    numbers: u32,
    minted: u64,
    /// When each attempt was begun.
    pub(crate) begun: BTreeMap<(MessageId, u32), Instant>,
    /// The safeguard that is taken away.
    without: Option<Safeguard>,
}

impl Tables {
    pub(crate) fn new(rules: Rules, account: AccountEntry, without: Option<Safeguard>) -> Self {
        Self {
            rules,
            account,
            contacts: BTreeMap::new(),
            conversations: BTreeMap::new(),
            cases: BTreeMap::new(),
            messages: BTreeMap::new(),
            outbox: BTreeMap::new(),
            events: BTreeMap::new(),
            suppressions: BTreeMap::new(),
            sids: BTreeMap::new(),
            replies: BTreeMap::new(),
            numbers: 1000,
            minted: 0,
            begun: BTreeMap::new(),
            without,
        }
    }

    fn lacks(&self, safeguard: Safeguard) -> bool {
        self.without == Some(safeguard)
    }

    fn mint(&mut self) -> Uuid {
        self.minted += 1;
        // Ids grow as the real ones do; the low bits are as good as random.
        Uuid::from_u128(
            (u128::from(self.minted) << 64) | u128::from(self.minted.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        )
    }

    /// Decides a batch and keeps what follows, as the store does: its texts taken for new, or looked up where a unique key
    /// says otherwise.
    pub(crate) fn handle(&mut self, commands: &[Command], at: DateTime<Utc>) -> Vec<Outcome> {
        let (mut outcomes, mut state) = self.decided(commands, at, false);
        if self.refuses(&state) {
            (outcomes, state) = self.decided(commands, at, true);
        }
        self.keep(state);
        outcomes
    }

    /// Whether a unique key would refuse what a batch wrote.
    fn refuses(&self, state: &State) -> bool {
        let State { writes, messages, known_events, .. } = state;
        let is_known = |id: &DedupeId| self.events.contains_key(id) && !known_events.contains(id);
        let is_taken = |message: &Message| {
            let key = message.provider_sid.clone().map(|sid| (message.account_id, sid));
            key.and_then(|key| self.sids.get(&key)).is_some_and(|other| *other != message.id)
        };
        let mut all = writes.new_messages.iter().chain(&writes.changed_messages);
        let by_event = !self.lacks(Safeguard::Once) && writes.events.keys().any(is_known);
        let unique = !self.lacks(Safeguard::Once) && !self.lacks(Safeguard::SidsOnce);
        by_event || unique && all.any(|id| is_taken(&messages[id]))
    }

    fn decided(&mut self, commands: &[Command], at: DateTime<Utc>, doubtful: bool) -> (Vec<Outcome>, State) {
        let mut keys = Keys { doubtful, ..Keys::default() };
        commands.iter().for_each(|command| plan(&self.rules, command, &mut keys));
        let mut state = self.load(&keys, at);
        let first = self.numbers;
        self.numbers += u32::try_from(commands.len()).unwrap();
        state.free_numbers = (first..self.numbers).filter_map(CaseNumber::new).collect();
        let rules = self.rules.clone();
        let mut outcomes = Vec::new();
        for command in commands {
            let decision = decide(&rules, &state, &self.weakened(command), &mut || self.mint());
            state.apply(decision.effects);
            outcomes.push(decision.outcome);
        }
        (outcomes, state)
    }

    /// The command as a database without one of its safeguards would have it.
    fn weakened(&self, command: &Command) -> Command {
        use casewire_domain::outbox::AttemptOutcome::{NotProcessed, Uncertain};
        match command {
            Command::Attempted { message_id, attempt, outcome: Uncertain, trace: None }
                if self.lacks(Safeguard::Holding) =>
            {
                let outcome = NotProcessed { retry_after: Duration::from_secs(1) };
                Command::Attempted { message_id: *message_id, attempt: *attempt, outcome, trace: None }
            }
            other => other.clone(),
        }
    }

    fn load(&mut self, keys: &Keys<'_>, at: DateTime<Utc>) -> State {
        let mut state = State { at, ..State::default() };
        self.load_people(keys, &mut state);
        self.load_messages(keys, &mut state);
        self.load_cases(keys, &mut state);
        for id in &keys.events {
            if let Some(row) = self.events.get(id) {
                state.known_events.insert(id.clone());
                if !self.lacks(Safeguard::Once) {
                    state.events.insert(id.clone(), row.outcome);
                }
            }
        }
        let contacts = state.addressees(keys).into_iter();
        state.contacts = contacts.map(|id| (id, self.contacts[&id].clone())).collect();
        let lanes: BTreeSet<_> =
            state.conversations.values().map(|lane| (lane.line_id, lane.contact_id)).collect();
        let known = self.suppressions.iter().filter(|(lane, _)| lanes.contains(lane));
        state.suppressions = known.map(|(lane, known)| (*lane, *known)).collect();
        let people = state.guarded(keys);
        for message in self.messages.values() {
            let today = message.processed_at > at - TimeDelta::days(1);
            if message.automatic && today && people.contains(&message.contact_id) {
                let lane = (message.line_id, message.contact_id);
                state.automatic.entry(lane).or_default().push(message.processed_at);
            }
        }
        state
    }

    fn load_people(&mut self, keys: &Keys<'_>, state: &mut State) {
        for ((workspace_id, address), location) in &keys.contacts {
            let id = contact_id(address);
            self.contacts.entry(id).or_insert_with(|| Contact {
                id,
                workspace_id: *workspace_id,
                address: address.clone(),
                name: generated_name(address, location),
                email: generated_email(address),
            });
        }
        for (line, address) in keys.conversations.keys() {
            let contact_id = contact_id(address);
            let id = ConversationId(contact_id.0);
            let key = Text::new(address.reveal());
            let new = Conversation { id, line_id: *line, key, contact_id, current_case_id: None };
            state.add_conversation(self.conversations.entry(id).or_insert(new).clone());
        }
    }

    fn load_cases(&self, keys: &Keys<'_>, state: &mut State) {
        let named: Vec<_> =
            self.cases.values().filter(|case| keys.case_numbers.contains(&case.number)).collect();
        for case in &named {
            state.add_conversation(self.conversations[&case.conversation_id].clone());
        }
        let current = state.conversations.values().filter_map(|lane| lane.current_case_id);
        let current: Vec<_> = current.map(|id| &self.cases[&id]).collect();
        for case in named.into_iter().chain(current) {
            state.case_numbers.insert(case.number, case.id);
            state.cases.insert(case.id, case.clone());
        }
    }

    fn load_messages(&self, keys: &Keys<'_>, state: &mut State) {
        let mut ids = keys.messages.clone();
        let account = self.account.id;
        for sid in &keys.sids {
            if let Some(id) = self.sids.get(&(account, sid.clone()))
                && !self.lacks(Safeguard::SidsOnce)
                && !self.lacks(Safeguard::Once)
            {
                ids.insert(*id);
                state.sids.insert((account, sid.clone()), *id);
            }
        }
        for key in &keys.replies {
            if let Some(id) = self.replies.get(key) {
                ids.insert(*id);
                state.replies.insert(key.clone(), *id);
            }
        }
        let settling: Vec<_> = keys.settling.iter().filter_map(|id| self.messages.get(id)).collect();
        for text in settling {
            state.add_conversation(self.conversations[&text.conversation_id].clone());
            let alike = |other: &&Message| {
                other.direction == Direction::Outbound
                    && other.provider_sid.is_none()
                    && (other.contact_id, &other.body) == (text.contact_id, &text.body)
            };
            ids.extend(self.messages.values().filter(alike).map(|message| message.id));
        }
        for id in ids {
            state.messages.extend(self.messages.get(&id).map(|message| (id, message.clone())));
            state.outbox.extend(self.outbox.get(&id).map(|row| (id, row.clone())));
        }
    }

    fn keep(&mut self, state: State) {
        let State { writes, cases, messages, conversations, .. } = state;
        self.cases.extend(writes.cases.into_iter().map(|id| (id, cases[&id].clone())));
        for id in writes.current.keys() {
            self.conversations.insert(*id, conversations[id].clone());
        }
        for id in writes.new_messages.iter().chain(&writes.changed_messages) {
            let mut message = messages[id].clone();
            if let Some(known) = self.messages.get(&message.id).filter(|_| self.lacks(Safeguard::Furthest)) {
                message.progress = newest(known.progress, message.progress);
            }
            if let Some(sid) = &message.provider_sid {
                self.sids.insert((message.account_id, sid.clone()), message.id);
            }
            self.messages.insert(message.id, message);
        }
        self.outbox.retain(|id, _| !writes.dequeued.contains(id));
        self.outbox.extend(writes.outgoing);
        for (lane, learnt) in writes.suppressions {
            if learnt.overrules(self.suppressions.get(&lane)) {
                self.suppressions.insert(lane, learnt);
            }
        }
        self.events.extend(writes.events);
        self.replies.extend(writes.replies.into_iter().map(|(author, key, id)| ((author, key), id)));
    }

    /// Begins attempts, as the store's claim does.
    pub(crate) fn claim(&mut self, claim: &Claim, at: DateTime<Utc>) -> Vec<Claimed> {
        let slowed = claim.slowed.iter().find(|(account, _)| *account == self.account.id);
        let most = slowed.map_or(claim.most, |(_, may)| claim.most.min(*may));
        if claim.paused.contains(&self.account.id) {
            return Vec::new();
        }
        let mut due: Vec<_> = self.outbox.values().filter(|row| self.may_go(row, at)).collect();
        due.sort_by_key(|row| (row.due_at, row.message_id));
        let ids: Vec<_> = due.into_iter().take(most).map(|row| row.message_id).collect();
        let lease = TimeDelta::from_std(claim.lease).unwrap();
        for id in &ids {
            let row = self.outbox.get_mut(id).unwrap();
            row.attempt += 1;
            row.settling = row.settling.of_attempt(at);
            self.begun.insert((*id, row.attempt), Instant::now());
            if self.without != Some(Safeguard::CommitBeforePost) {
                row.state = OutboxState::Sending;
                row.lease_until = Some(at + lease);
            }
        }
        ids.into_iter().map(|id| self.claimed(id)).collect()
    }

    fn may_go(&self, row: &Outgoing, at: DateTime<Utc>) -> bool {
        let earlier = |other: &&Outgoing| {
            other.conversation_id == row.conversation_id
                && (other.queued_at, other.message_id) < (row.queued_at, row.message_id)
                && (other.state != OutboxState::Uncertain || other.due_at > at)
        };
        row.state == OutboxState::Pending && row.due_at <= at && !self.outbox.values().any(|it| earlier(&it))
    }

    fn claimed(&self, id: MessageId) -> Claimed {
        let message = &self.messages[&id];
        let line = self.rules.line_by_id(message.line_id).unwrap();
        Claimed {
            message_id: id,
            attempt: self.outbox[&id].attempt,
            line: line.webhook_id.clone(),
            from: line.address.clone(),
            to: self.contacts[&message.contact_id].address.clone(),
            body: message.body.clone(),
            account: self.account.clone(),
            suppressed: self
                .suppressions
                .get(&(message.line_id, message.contact_id))
                .is_some_and(|known| known.active),
            automatic: message.automatic,
            queued_at: self.outbox[&id].queued_at,
            trace: message.trace.clone(),
        }
    }

    pub(crate) fn lost_attempts(&self, at: DateTime<Utc>) -> Vec<(MessageId, u32)> {
        let lost = |row: &&Outgoing| {
            row.state == OutboxState::Sending && row.lease_until.is_some_and(|until| until < at)
        };
        self.outbox.values().filter(lost).map(|row| (row.message_id, row.attempt)).collect()
    }

    pub(crate) fn due_uncertain(&mut self, look: &LookFor, at: DateTime<Utc>) -> Vec<Unsettled> {
        let due = |row: &&Outgoing| {
            let looks = row.settling.looks as usize;
            let last = looks + 1 >= look.after.len();
            let held = row.settling.held_at.is_some() && looks + 1 > look.after.len();
            let after = look.after.get(looks).or(if last { look.after.last() } else { None });
            let begun = row.settling.attempted_at.unwrap_or(row.due_at);
            let waits = look.paused.contains(&self.account.id)
                && (row.settling.held_at.is_some()
                    || look
                        .after
                        .last()
                        .is_some_and(|after| begun + TimeDelta::from_std(*after).unwrap() > at));
            row.state == OutboxState::Uncertain
                && !held
                && !waits
                && row.settling.look_at.is_none_or(|look_at| look_at <= at)
                && after.is_some_and(|after| begun + TimeDelta::from_std(*after).unwrap() <= at)
        };
        let mut ids: Vec<_> = self.outbox.values().filter(due).map(|row| row.message_id).collect();
        ids.truncate(look.most);
        let lease = TimeDelta::from_std(look.lease).unwrap();
        for id in &ids {
            self.outbox.get_mut(id).unwrap().settling.look_at = Some(at + lease);
        }
        ids.into_iter().map(|id| self.unsettled(id, at)).collect()
    }

    fn unsettled(&self, id: MessageId, at: DateTime<Utc>) -> Unsettled {
        let (row, claimed) = (&self.outbox[&id], self.claimed(id));
        let settling = row.settling;
        Unsettled {
            message_id: id,
            attempt: row.attempt,
            looks: settling.looks,
            age: (at - settling.attempted_at.unwrap_or(row.due_at)).to_std().unwrap_or_default(),
            since: settling.searched_from.or(settling.attempted_at).unwrap_or(row.queued_at),
            from: claimed.from,
            to: claimed.to,
            account: claimed.account,
            when_uncertain: self.rules.line_by_id(row.line_id).unwrap().when_uncertain,
        }
    }

    /// Statuses whose text is known by now.
    pub(crate) fn ripe_statuses(&self) -> Vec<Vec<u8>> {
        if self.lacks(Safeguard::Once) || self.lacks(Safeguard::SidsOnce) {
            return Vec::new();
        }
        let known = |row: &&EventRow| {
            let sid = row.provider_sid.clone().unwrap_or_default();
            row.outcome == EventOutcome::Waiting && self.sids.contains_key(&(self.account.id, sid))
        };
        self.events.values().filter(known).map(|row| row.facts.raw.clone()).collect()
    }
}

/// What was learnt last, where anything was.
fn newest(before: Progress, after: Progress) -> Progress {
    let ((before, _), (seen, error)) = (before.to_stored(), after.to_stored());
    if seen == before { after } else { Progress::from_stored(seen & !before, error) }
}

/// An id made of the address, so that it does not matter who makes the row.
fn contact_id(address: &Address) -> ContactId {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(address.reveal().bytes()).for_each(|(byte, letter)| *byte = letter);
    ContactId(Uuid::from_bytes(bytes))
}

/// The one workspace.
pub(crate) const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
