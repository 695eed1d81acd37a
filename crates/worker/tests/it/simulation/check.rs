//! What must hold in the end, whatever went wrong.

use std::collections::{BTreeMap, BTreeSet};

use casewire_domain::message::{Direction, Message};
use casewire_domain::outbox::OutboxState;
use casewire_domain::state::EventOutcome;
use casewire_domain::{DedupeId, DeliveryStatus};

use super::world::{Tally, World};

/// What came from outside.
#[derive(Default)]
pub(crate) struct Told {
    /// Texts by the provider's id, with who wrote them.
    pub(crate) texts: BTreeMap<String, String>,
    /// Events nobody can read.
    pub(crate) garbled: BTreeSet<DedupeId>,
    /// How many replies agents wrote.
    pub(crate) replies: usize,
    /// How many cases agents closed.
    pub(crate) closings: usize,
}

macro_rules! must {
    ($holds:expr, $($otherwise:tt)+) => {
        if !$holds {
            return Err(format!($($otherwise)+));
        }
    };
}

/// Everything that must hold; the first that does not.
pub(crate) fn check(world: &World, told: &Told) -> Result<Tally, String> {
    inbound(world, told)?;
    cases(world, told)?;
    events(world, told)?;
    must!(world.books.overdue == 0, "{} requests began too late for their lease", world.books.overdue);
    let mut tally = Tally::new();
    for message in world.tables.messages.values().filter(|it| it.direction == Direction::Outbound) {
        let ending = outbound(world, message)?;
        *tally.entry(ending).or_default() += 1;
    }
    let replies =
        world.tables.messages.values().filter(|it| it.direction == Direction::Outbound && !it.automatic);
    must!(replies.count() == told.replies, "a reply is lost");
    tally.insert("texts", told.texts.len() as u64);
    tally.insert("deaths", world.deaths.into());
    Ok(tally)
}

/// Every text is in exactly one case, of the person who wrote it.
fn inbound(world: &World, told: &Told) -> Result<(), String> {
    for (sid, who) in &told.texts {
        let found: Vec<_> =
            world.tables.messages.values().filter(|it| it.provider_sid.as_ref() == Some(sid)).collect();
        must!(found.len() == 1, "text {sid} is stored {} times", found.len());
        let case = found[0].case_id.and_then(|id| world.tables.cases.get(&id));
        let Some(case) = case else { return Err(format!("text {sid} is in no case")) };
        let writer = &world.tables.contacts[&found[0].contact_id].address;
        must!(writer.reveal() == who && case.contact_id == found[0].contact_id, "text {sid} is another's");
    }
    let inbound = world.tables.messages.values().filter(|it| it.direction == Direction::Inbound).count();
    must!(inbound == told.texts.len(), "{inbound} texts came of {}", told.texts.len());
    Ok(())
}

/// A conversation has one current case; another was opened only after one was closed.
fn cases(world: &World, told: &Told) -> Result<(), String> {
    let tables = &world.tables;
    for lane in tables.conversations.values() {
        let own = tables.cases.values().filter(|case| case.conversation_id == lane.id);
        let (all, open) = own.fold((0, 0), |(all, open), case| {
            (all + 1, open + usize::from(case.status != casewire_domain::case::CaseStatus::Closed))
        });
        must!(open <= 1, "a conversation has {open} open cases");
        must!(all <= 1 + told.closings, "a conversation has {all} cases after {} closings", told.closings);
        must!(lane.current_case_id.is_some() || all == 0, "a conversation has no current case");
    }
    let mut answered = BTreeSet::new();
    let causes = tables.messages.values().filter_map(|message| message.cause_id);
    must!(causes.into_iter().all(|cause| answered.insert(cause)), "a text is answered twice");
    Ok(())
}

/// Dead letters are what nobody can read, and nothing waits for what is there.
fn events(world: &World, told: &Told) -> Result<(), String> {
    let dead: BTreeSet<_> = world
        .tables
        .events
        .iter()
        .filter(|(_, row)| row.outcome == EventOutcome::Dead)
        .map(|(id, _)| id.clone())
        .collect();
    must!(dead == told.garbled, "dead letters are {dead:?} and not {:?}", told.garbled);
    Ok(())
}

/// A text of ours was taken once at most, and what is said of it is true. How it ended.
fn outbound(world: &World, message: &Message) -> Result<&'static str, String> {
    let id = message.id;
    let taken: Vec<_> = world.books.texts.iter().filter(|text| text.message_id == id).collect();
    must!(taken.len() <= 1, "the provider has {} texts for message {id}", taken.len());
    let status = message.progress.status();
    let named = world.books.named.get(&id).copied();
    // One that names only the provider's id says nothing as long as nobody knows whose that is.
    let known = message.provider_sid.is_some();
    let told = named.max(world.books.numbered.get(&id).copied().filter(|_| known));
    if let Some(text) = taken.first() {
        must!(
            status <= text.status(),
            "message {id} is {status:?}, and the provider says {:?}",
            text.status()
        );
    }
    must!(
        status >= told.unwrap_or(DeliveryStatus::Queued),
        "message {id} is {status:?}, and {told:?} was told"
    );
    if let Some(row) = world.tables.outbox.get(&id) {
        must!(row.state == OutboxState::Uncertain, "message {id} is still on its way");
        must!(named.is_none(), "message {id} is held although {named:?} was told of it");
        return Ok(if taken.is_empty() { "held, not taken" } else { "held, taken" });
    }
    match (&message.provider_sid, taken.first()) {
        (Some(sid), Some(text)) => {
            must!(*sid == text.sid, "message {id} has the provider's id of another text");
            Ok(if text.attempt == 1 { "taken at once" } else { "taken later" })
        }
        (None, None) => {
            let failed = matches!(status, DeliveryStatus::Failed | DeliveryStatus::Canceled);
            must!(failed, "message {id} is nowhere, and {status:?}");
            Ok("refused")
        }
        (known, taken) => Err(format!("message {id} has {known:?}, taken: {}", taken.is_some())),
    }
}
