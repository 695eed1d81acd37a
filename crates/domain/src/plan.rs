//! What must be known before a command can be decided.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Address;
use crate::command::Command;
use crate::event::DedupeId;
use crate::id::{CaseNumber, LineId, MessageId, WorkspaceId};
use crate::inbound::Location;
use crate::line::Rules;
use crate::outbox::AttemptOutcome;
use crate::reference::case_numbers;

/// What a batch of commands must know: the keys of the rows to lock and to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys<'c> {
    /// Whether a text that comes in may be known already. Nearly none is, and where one is, the unique keys of what is
    /// written tell: only then is each looked up.
    pub doubtful: bool,
    /// Events that may have been handled before; of texts only where they are doubtful.
    pub events: BTreeSet<DedupeId>,
    /// Whether a text may be answered without a person though it joins its conversation's current case: its line answers
    /// all, it may join another one that it names, or something else in the batch may close it first.
    pub answering: bool,
    /// Conversations by line and the sender's address, made where they do not exist yet; each with the line's workspace.
    pub conversations: BTreeMap<(LineId, Address), WorkspaceId>,
    /// Contacts by address, made with their first conversation, with where the first text says it came from.
    pub contacts: BTreeMap<(WorkspaceId, Address), &'c Location>,
    /// Cases that are named.
    pub case_numbers: BTreeSet<CaseNumber>,
    /// Messages of ours.
    pub messages: BTreeSet<MessageId>,
    /// Messages that are being settled: their conversations are locked, and every text of ours to the same person
    /// with the same words that has no provider's id is loaded too.
    pub settling: BTreeSet<MessageId>,
    /// Messages by the provider's id, of whatever account; of texts that come in only where they are doubtful.
    pub sids: BTreeSet<String>,
    /// Replies by author and idempotency key.
    pub replies: BTreeSet<(String, String)>,
}

/// What this command must know, added to what the batch must know already.
pub fn plan<'c>(rules: &Rules, command: &'c Command, keys: &mut Keys<'c>) {
    let looked_up = keys.doubtful || !matches!(command, Command::Text(..));
    if let Some(event) = command.event().filter(|_| looked_up) {
        keys.events.insert(event.dedupe_id.clone());
    }
    match command {
        Command::Text(facts, text) => {
            let Some(line) = rules.line(&facts.line) else { return };
            let address = Address::parse(&text.from, line.region);
            // No text is stored of a sender that cannot be read, so no unique key would tell.
            keys.sids.extend((looked_up || address.is_err()).then(|| text.provider_sid.clone()));
            let Ok(address) = address else { return };
            let named = case_numbers(text.body.reveal());
            keys.answering |= line.acknowledgements.on_update.is_some() || !named.is_empty();
            keys.case_numbers.extend(named);
            keys.conversations.insert((line.id, address.clone()), line.workspace_id);
            keys.contacts.entry((line.workspace_id, address)).or_insert(&text.location);
        }
        Command::Status(_, report) => {
            keys.messages.extend(report.ours.map(|(message, _)| message));
            keys.sids.insert(report.provider_sid.clone());
        }
        Command::Reply(reply) => {
            keys.case_numbers.insert(reply.case);
            keys.replies.extend(reply.idempotency_key.iter().map(|key| (reply.author.clone(), key.clone())));
        }
        Command::SetStatus { case, .. } => {
            keys.answering = true;
            keys.case_numbers.insert(*case);
        }
        Command::Attempted { message_id, outcome, .. } => {
            keys.messages.insert(*message_id);
            if let AttemptOutcome::Accepted { provider_sid, .. } = outcome {
                keys.sids.insert(provider_sid.clone());
            }
        }
        Command::Looked(look) => {
            keys.messages.insert(look.message_id);
            keys.settling.insert(look.message_id);
            keys.sids.extend(look.listed().iter().map(|text| text.sid.clone()));
        }
        Command::Resolve { case, message_id, .. } => {
            keys.case_numbers.insert(*case);
            keys.messages.insert(*message_id);
        }
        Command::Record(_) | Command::SetAside(..) => {}
    }
}
