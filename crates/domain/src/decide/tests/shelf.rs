//! A database of maps: it loads what a plan asks for and no more, keeps what is written, and refuses what
//! the real one's unique keys refuse.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::case::{Case, Conversation, TrailEntry};
use crate::contact::{Contact, generated_email, generated_name};
use crate::message::{Direction, Message};
use crate::outbox::Outgoing;
use crate::plan::Keys;
use crate::state::{EventRow, State};
use crate::suppression::Suppression;
use crate::{
    AccountId, Address, CaseId, CaseNumber, ContactId, ConversationId, DedupeId, LineId, MessageId,
    WorkspaceId,
};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shelf {
    pub(super) contacts: BTreeMap<ContactId, Contact>,
    pub(super) conversations: BTreeMap<ConversationId, Conversation>,
    pub(super) cases: BTreeMap<CaseId, Case>,
    pub(super) messages: BTreeMap<MessageId, Message>,
    pub(super) outbox: BTreeMap<MessageId, Outgoing>,
    pub(super) suppressions: BTreeMap<(LineId, ContactId), Suppression>,
    pub(super) trail: Vec<TrailEntry>,
    pub(super) events: BTreeMap<DedupeId, EventRow>,
    replies: BTreeMap<(String, String), MessageId>,
    pub(super) numbers_taken: u32,
}

/// The first number a case gets.
pub(super) const FIRST_NUMBER: u32 = 1_001;

impl Shelf {
    /// What a batch of so many texts must know.
    pub(super) fn load(&mut self, keys: &Keys<'_>, at: DateTime<Utc>, texts: u32) -> State {
        let mut state = State { at, ..State::default() };
        self.load_people(keys, &mut state);
        self.load_cases(keys, &mut state);
        self.load_messages(keys, &mut state);
        for id in &keys.events {
            if let Some(row) = self.events.get(id) {
                state.known_events.insert(id.clone());
                state.events.insert(id.clone(), row.outcome);
            }
        }
        self.load_history(keys, &mut state);
        let first = FIRST_NUMBER + self.numbers_taken;
        state.free_numbers = (first..first + texts).filter_map(CaseNumber::new).collect();
        state
    }

    fn load_history(&self, keys: &Keys<'_>, state: &mut State) {
        let everybody: BTreeSet<_> = state.conversations.values().map(|lane| lane.contact_id).collect();
        let known = self.suppressions.iter().map(|(lane, known)| (*lane, *known));
        state.suppressions = known.filter(|((_, contact), _)| everybody.contains(contact)).collect();
        // One try knows of everybody, so that the other shows that it makes no difference.
        let (contacts, people) = match keys.doubtful {
            true => (everybody.clone(), everybody),
            false => (state.addressees(keys), state.guarded(keys)),
        };
        let contacts = contacts.into_iter().filter_map(|id| self.contacts.get(&id));
        state.contacts = contacts.map(|contact| (contact.id, contact.clone())).collect();
        let today = state.at - TimeDelta::days(1);
        for message in self.messages.values().filter(|m| m.automatic && m.processed_at > today) {
            if people.contains(&message.contact_id) {
                let lane = (message.line_id, message.contact_id);
                state.automatic.entry(lane).or_default().push(message.processed_at);
            }
        }
    }

    fn load_people(&mut self, keys: &Keys<'_>, state: &mut State) {
        for ((workspace_id, address), location) in &keys.contacts {
            let id = contact_id(*workspace_id, address);
            self.contacts.entry(id).or_insert_with(|| Contact {
                id,
                workspace_id: *workspace_id,
                address: address.clone(),
                name: generated_name(address, location),
                email: generated_email(address),
            });
        }
        for ((line, address), workspace_id) in &keys.conversations {
            let contact_id = contact_id(*workspace_id, address);
            let id = ConversationId(xor(line.0, contact_id.0));
            let lane = self.conversations.entry(id).or_insert_with(|| Conversation {
                id,
                line_id: *line,
                key: crate::Text::new(address.reveal()),
                contact_id,
                current_case_id: None,
            });
            state.add_conversation(lane.clone());
        }
    }

    fn load_cases(&self, keys: &Keys<'_>, state: &mut State) {
        let named: Vec<_> =
            self.cases.values().filter(|case| keys.case_numbers.contains(&case.number)).collect();
        for case in &named {
            if let Some(lane) = self.conversations.get(&case.conversation_id) {
                state.add_conversation(lane.clone());
            }
        }
        let current = state.conversations.values().filter_map(|lane| lane.current_case_id);
        let current: Vec<_> = current.filter_map(|id| self.cases.get(&id)).collect();
        for case in named.into_iter().chain(current) {
            state.case_numbers.insert(case.number, case.id);
            state.cases.insert(case.id, case.clone());
        }
    }

    fn load_messages(&self, keys: &Keys<'_>, state: &mut State) {
        let mut ids = keys.messages.clone();
        for message in self.messages.values() {
            if let Some(key) = sid_of(message)
                && keys.sids.contains(&key.1)
            {
                ids.insert(message.id);
                state.sids.insert(key, message.id);
            }
        }
        for key in &keys.replies {
            if let Some(id) = self.replies.get(key) {
                ids.insert(*id);
                state.replies.insert(key.clone(), *id);
            }
        }
        let settling: Vec<_> = keys.settling.iter().filter_map(|id| self.messages.get(id)).collect();
        let alike = |other: &&Message| {
            let same = |it: &&Message| {
                (it.account_id, it.contact_id, &it.body) == (other.account_id, other.contact_id, &other.body)
            };
            other.direction == Direction::Outbound
                && other.provider_sid.is_none()
                && settling.iter().any(same)
        };
        ids.extend(self.messages.values().filter(alike).map(|message| message.id));
        for id in ids {
            state.messages.extend(self.messages.get(&id).map(|message| (id, message.clone())));
            state.outbox.extend(self.outbox.get(&id).map(|row| (id, row.clone())));
        }
    }

    /// Whether a unique key of the database would refuse what a batch wrote.
    pub(super) fn refuses(&self, state: &State) -> bool {
        let writes = &state.writes;
        let is_known = |id: &DedupeId| self.events.contains_key(id) && !state.known_events.contains(id);
        let is_taken = |message: &Message| {
            self.messages.values().filter(|other| other.id != message.id).any(|other| {
                message.provider_sid.is_some() && sid_of(other) == sid_of(message)
                    || message.cause_id.is_some() && other.cause_id == message.cause_id
            })
        };
        let mut messages = writes.new_messages.iter().chain(&writes.changed_messages);
        writes.events.keys().any(is_known) || messages.any(|id| is_taken(&state.messages[id]))
    }

    /// Keeps what a batch wrote.
    pub(super) fn keep(&mut self, state: State) {
        let State { writes, cases, messages, known_events, free_numbers, conversations, .. } = state;
        let next = free_numbers.front().map(|number| number.value() - FIRST_NUMBER);
        self.numbers_taken = next.unwrap_or_else(|| self.numbers_taken + writes.new_cases(&self.cases));
        self.cases.extend(writes.cases.into_iter().map(|id| (id, cases[&id].clone())));
        for id in writes.current.keys() {
            self.conversations.insert(*id, conversations[id].clone());
        }
        for id in writes.new_messages {
            assert!(self.messages.insert(id, messages[&id].clone()).is_none(), "a message id twice");
        }
        for id in writes.changed_messages {
            assert!(self.messages.insert(id, messages[&id].clone()).is_some(), "a message that is not there");
        }
        self.check_unique();
        self.outbox.retain(|id, _| !writes.dequeued.contains(id));
        self.outbox.extend(writes.outgoing);
        let learnt = writes.suppressions.into_iter();
        self.suppressions.extend(
            learnt.filter(|(lane, new)| new.overrules(self.suppressions.get(lane))).collect::<Vec<_>>(),
        );
        self.trail.extend(writes.trail);
        for (id, row) in writes.events {
            let known = known_events.contains(&id);
            assert_eq!(self.events.insert(id, row).is_some(), known, "an event's row twice");
        }
        for (author, key, id) in writes.replies {
            assert!(self.replies.insert((author, key), id).is_none(), "an idempotency key twice");
        }
    }

    /// Two rows of one provider's id, or two answers to one text, are what the database refuses.
    fn check_unique(&self) {
        let sids: Vec<_> = self.messages.values().filter_map(sid_of).collect();
        assert_eq!(sids.iter().collect::<BTreeSet<_>>().len(), sids.len(), "a provider's id twice");
        let causes: Vec<_> = self.messages.values().filter_map(|message| message.cause_id).collect();
        assert_eq!(causes.iter().collect::<BTreeSet<_>>().len(), causes.len(), "a text answered twice");
    }
}

impl crate::state::Writes {
    fn new_cases(&self, known: &BTreeMap<CaseId, Case>) -> u32 {
        self.cases.iter().filter(|id| !known.contains_key(id)).count() as u32
    }
}

fn sid_of(message: &Message) -> Option<(AccountId, String)> {
    Some((message.account_id, message.provider_sid.clone()?))
}

/// An id that depends on the address alone, so that it does not matter in which batch a contact is made.
fn contact_id(workspace: WorkspaceId, address: &Address) -> ContactId {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(address.reveal().bytes()).for_each(|(byte, letter)| *byte = letter);
    ContactId(xor(workspace.0, Uuid::from_bytes(bytes)))
}

fn xor(a: Uuid, b: Uuid) -> Uuid {
    Uuid::from_u128(a.as_u128().rotate_left(64) ^ b.as_u128())
}
