//! What is known while a batch is decided: what was loaded, changed by every decision so far. The changes
//! are kept apart, to be written in a few bulk statements.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::address::Address;
use crate::case::{Case, CaseStatus, Conversation, TrailEntry};
use crate::command::EventFacts;
use crate::contact::Contact;
use crate::event::DedupeId;
use crate::id::{AccountId, CaseId, CaseNumber, ContactId, ConversationId, LineId, MessageId};
use crate::message::Message;
use crate::outbox::Outgoing;
use crate::plan::Keys;
use crate::suppression::Suppression;

/// What is known. Loaded under the locks of its conversations, so that nobody else decides on it.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The time of every decision of the batch, read once its locks are held.
    pub at: DateTime<Utc>,
    /// Events handled before, and how, as far as they were looked up ([`Keys::doubtful`](crate::plan::Keys::doubtful)).
    pub events: HashMap<DedupeId, EventOutcome>,
    /// Events that have a row already: theirs is changed, not added.
    pub known_events: HashSet<DedupeId>,
    /// Contacts: those whom the batch [may text](State::addressees).
    pub contacts: HashMap<ContactId, Contact>,
    /// Conversations.
    pub conversations: HashMap<ConversationId, Conversation>,
    /// Conversations by line and address.
    pub conversations_by_address: HashMap<(LineId, Address), ConversationId>,
    /// Cases: the current ones of these conversations, and the named ones.
    pub cases: HashMap<CaseId, Case>,
    /// Cases by number.
    pub case_numbers: HashMap<CaseNumber, CaseId>,
    /// Messages of ours.
    pub messages: HashMap<MessageId, Message>,
    /// Messages by the provider's id, as far as they were looked up.
    pub sids: HashMap<(AccountId, String), MessageId>,
    /// Messages on their way.
    pub outbox: HashMap<MessageId, Outgoing>,
    /// What is known of whether a contact may be texted on a line.
    pub suppressions: HashMap<(LineId, ContactId), Suppression>,
    /// When automatic replies of the last 24 hours were queued, by line and contact; of those whom the batch
    /// [may answer](State::guarded).
    pub automatic: HashMap<(LineId, ContactId), Vec<DateTime<Utc>>>,
    /// Replies by author and idempotency key.
    pub replies: HashMap<(String, String), MessageId>,
    /// Case numbers nobody has yet.
    pub free_numbers: VecDeque<CaseNumber>,
    /// What must be written.
    pub writes: Writes,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventOutcome {
    /// It had its effect.
    Handled,
    /// It is kept, and nothing was to be done.
    Recorded,
    /// A status of a text we do not know yet; tried again when we do.
    Waiting,
    /// It could not be handled; a person decides.
    Dead,
}

impl EventOutcome {
    /// The name used in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Recorded => "recorded",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }

    /// The outcome of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Handled, Self::Recorded, Self::Waiting, Self::Dead].into_iter().find(|o| o.as_str() == name)
    }

    /// Whether the event must have no further effect.
    pub fn settled(self) -> bool {
        matches!(self, Self::Handled | Self::Recorded)
    }
}

/// One change a decision makes.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A case is new, or has changed.
    PutCase(Case),
    /// A conversation's current case.
    SetCurrent(ConversationId, CaseId),
    /// A new message.
    AddMessage(Message),
    /// A message's progress or provider id has changed.
    PutMessage(Message),
    /// A message waits for its turn, or its turn has changed.
    PutOutgoing(Outgoing),
    /// A message is settled.
    Dequeue(MessageId),
    /// Something was learnt of whether a contact may be texted on a line.
    Suppress(LineId, ContactId, Suppression),
    /// Something to remember of a case.
    Trail(TrailEntry),
    /// An event was handled, and how.
    PutEvent(EventRow),
    /// A reply was made under an idempotency key.
    RememberReply(String, String, MessageId),
}

/// An event's row: the proof that it was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The event.
    pub facts: Arc<EventFacts>,
    /// What became of it.
    pub outcome: EventOutcome,
    /// Why, in words that hold no number and no text.
    pub reason: Option<String>,
    /// The provider's id it waits for.
    pub provider_sid: Option<String>,
    /// When it was decided.
    pub handled_at: DateTime<Utc>,
}

/// Everything a batch must write, each row once: cases and messages as [`State`] has them in the end.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// New and changed cases.
    pub cases: BTreeSet<CaseId>,
    /// Current cases of conversations, where it is another one than it was.
    pub current: BTreeMap<ConversationId, CaseId>,
    /// New messages, in order.
    pub new_messages: BTreeSet<MessageId>,
    /// Messages with changed progress.
    pub changed_messages: BTreeSet<MessageId>,
    /// Outbox rows to put.
    pub outgoing: BTreeMap<MessageId, Outgoing>,
    /// Outbox rows to delete.
    pub dequeued: Vec<MessageId>,
    /// Suppressions to put, each only where it overrules the one that is stored: what a callback teaches is
    /// not decided under its conversation's lock.
    pub suppressions: BTreeMap<(LineId, ContactId), Suppression>,
    /// Trail entries, in order.
    pub trail: Vec<TrailEntry>,
    /// Event rows.
    pub events: BTreeMap<DedupeId, EventRow>,
    /// Replies by author and idempotency key.
    pub replies: Vec<(String, String, MessageId)>,
}

impl State {
    /// Whether this event must have no further effect.
    pub fn settled(&self, dedupe_id: &DedupeId) -> bool {
        self.events.get(dedupe_id).is_some_and(|outcome| outcome.settled())
    }

    /// The conversation of an address on a line.
    pub fn conversation(&self, line: LineId, address: Address) -> Option<&Conversation> {
        self.conversations.get(self.conversations_by_address.get(&(line, address))?)
    }

    /// Makes a conversation known.
    pub fn add_conversation(&mut self, conversation: Conversation) {
        let address = Address::from_stored(conversation.key.reveal().to_owned());
        self.conversations_by_address.insert((conversation.line_id, address), conversation.id);
        self.conversations.insert(conversation.id, conversation);
    }

    /// The contacts whose texts may be answered without a person: the loop guard asks what they were answered before.
    /// Most who text have a case that is not closed, and are not answered again.
    pub fn guarded(&self, keys: &Keys<'_>) -> BTreeSet<ContactId> {
        let joins = |case: &Case| case.status != CaseStatus::Closed;
        let answered = |lane: &&Conversation| {
            keys.answering || !lane.current_case_id.and_then(|id| self.cases.get(&id)).is_some_and(joins)
        };
        self.conversations.values().filter(answered).map(|lane| lane.contact_id).collect()
    }

    /// The contacts whom the batch may text: those who may be answered, and whose case is named, as agents do.
    pub fn addressees(&self, keys: &Keys<'_>) -> BTreeSet<ContactId> {
        let named = keys.case_numbers.iter().filter_map(|number| self.case(*number));
        named.map(|case| case.contact_id).chain(self.guarded(keys)).collect()
    }

    /// Whether a contact must not be texted on a line.
    pub fn suppressed(&self, line: LineId, contact: ContactId) -> bool {
        self.suppressions.get(&(line, contact)).is_some_and(|known| known.active)
    }

    /// The case of this number.
    pub fn case(&self, number: CaseNumber) -> Option<&Case> {
        self.cases.get(self.case_numbers.get(&number)?)
    }

    /// Makes room for what so many commands add: a map that grows moves all it holds each time.
    pub fn reserve(&mut self, commands: usize) {
        self.events.reserve(commands);
        self.messages.reserve(commands);
    }

    /// Carries a decision's changes to the next decision, and to what must be written.
    pub fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.apply_one(effect);
        }
    }

    fn apply_one(&mut self, effect: Effect) {
        match effect {
            Effect::PutCase(case) => self.put_case(case),
            Effect::SetCurrent(conversation, case) => self.set_current(conversation, case),
            Effect::AddMessage(message) => self.put_message(message, true),
            Effect::PutMessage(message) => self.put_message(message, false),
            Effect::PutOutgoing(outgoing) => {
                self.writes.outgoing.insert(outgoing.message_id, outgoing.clone());
                self.outbox.insert(outgoing.message_id, outgoing);
            }
            Effect::Dequeue(message) => {
                self.writes.outgoing.remove(&message);
                self.writes.dequeued.push(message);
                self.outbox.remove(&message);
            }
            Effect::Suppress(line, contact, learnt) => self.suppress((line, contact), learnt),
            Effect::Trail(entry) => self.writes.trail.push(entry),
            Effect::PutEvent(row) => {
                self.events.insert(row.facts.dedupe_id.clone(), row.outcome);
                self.writes.events.insert(row.facts.dedupe_id.clone(), row);
            }
            Effect::RememberReply(author, key, message) => {
                self.replies.insert((author.clone(), key.clone()), message);
                self.writes.replies.push((author, key, message));
            }
        }
    }

    /// Most texts join the case that is current already: their conversation is not written again.
    fn set_current(&mut self, id: ConversationId, case: CaseId) {
        let changed =
            self.conversations.get_mut(&id).filter(|conversation| conversation.current_case_id != Some(case));
        if let Some(conversation) = changed {
            conversation.current_case_id = Some(case);
            self.writes.current.insert(id, case);
        }
    }

    fn put_case(&mut self, case: Case) {
        if self.free_numbers.front() == Some(&case.number) {
            self.free_numbers.pop_front();
        }
        self.case_numbers.insert(case.number, case.id);
        self.writes.cases.insert(case.id);
        self.cases.insert(case.id, case);
    }

    fn put_message(&mut self, message: Message, new: bool) {
        if new && message.automatic {
            let times = self.automatic.entry((message.line_id, message.contact_id)).or_default();
            times.push(message.processed_at);
        }
        if let Some(sid) = &message.provider_sid {
            self.sids.insert((message.account_id, sid.clone()), message.id);
        }
        // What this batch added and then changed is added as it is in the end.
        let writes = &mut self.writes;
        let new = new || writes.new_messages.contains(&message.id);
        let kept = if new { &mut writes.new_messages } else { &mut writes.changed_messages };
        kept.insert(message.id);
        self.messages.insert(message.id, message);
    }

    fn suppress(&mut self, lane: (LineId, ContactId), learnt: Suppression) {
        if learnt.overrules(self.suppressions.get(&lane)) {
            self.writes.suppressions.insert(lane, learnt);
            self.suppressions.insert(lane, learnt);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::text::Text;

    #[test]
    fn a_conversation_is_written_only_where_another_case_becomes_its_current_one() {
        let (id, case, other) = (ConversationId(Uuid::nil()), CaseId(Uuid::nil()), CaseId(Uuid::max()));
        let (line_id, contact_id) = (LineId(Uuid::nil()), ContactId(Uuid::nil()));
        let key = Text::new("+12065550199");
        let conversation = Conversation { id, line_id, key, contact_id, current_case_id: Some(case) };
        let mut state = State { conversations: [(id, conversation)].into(), ..State::default() };
        state.apply(vec![Effect::SetCurrent(id, case)]);
        assert!(state.writes.current.is_empty());
        state.apply(vec![Effect::SetCurrent(id, other), Effect::SetCurrent(id, other)]);
        assert_eq!(state.writes.current, [(id, other)].into());
        assert_eq!(state.conversations[&id].current_case_id, Some(other));
    }
}
