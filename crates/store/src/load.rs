//! Loading what a batch must know. Locks are taken in one order everywhere (conversations, cases, outbox,
//! messages; each by id), so that transactions wait for each other and never in a circle. Those of conversations
//! and cases let others refer to them: a report adds to the trail of a case that it has not locked. What can only
//! change under these locks is read after them.

mod people;
mod settling;

use std::collections::BTreeSet;

use casewire_domain::event::DedupeId;
use casewire_domain::plan::Keys;
use casewire_domain::state::{EventOutcome, State};
use casewire_domain::{ContactId, MessageId};
use chrono::TimeDelta;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::Inner;
use crate::bulk::among;
use crate::entity::{case, contact, event, message, outbox, reply_key, suppression, word};
use crate::error::Error;
use crate::transaction::Tx;

/// What the batch must know, its conversations locked.
pub(crate) async fn load(tx: &Tx, inner: &Inner, keys: &Keys<'_>) -> Result<State, Error> {
    let mut state = State::default();
    people::conversations(tx, inner, keys, &mut state).await?;
    lock_cases(tx, keys, &mut state).await?;
    let mut ids = message_ids(tx, keys, &mut state).await?;
    ids.extend(settling::rivals(tx, keys).await?);
    lock_messages(tx, ids, &mut state).await?;
    settling::bound(tx, keys, &mut state).await?;
    // Not the time the transaction began: whoever waited for the locks decides after those it waited for.
    state.at = inner.now(&tx.connection).await?;
    events(tx, keys, &mut state).await?;
    contacts(tx, keys, &mut state).await?;
    suppressions(tx, &mut state).await?;
    automatic(tx, keys, &mut state).await?;
    Ok(state)
}

fn numbers(keys: &Keys<'_>) -> impl Iterator<Item = i32> {
    keys.case_numbers.iter().filter_map(|number| i32::try_from(number.value()).ok())
}

/// A case can be current in two conversations (its customer named it on another line), so that the lock on
/// one of them is not enough to change it: the case's own row is locked too.
async fn lock_cases(tx: &Tx, keys: &Keys<'_>, state: &mut State) -> Result<(), Error> {
    let mut ids: BTreeSet<Uuid> =
        state.conversations.values().filter_map(|lane| lane.current_case_id).map(|id| id.0).collect();
    if !keys.case_numbers.is_empty() {
        let named: Vec<Uuid> = case::Entity::find()
            .select_only()
            .column(case::Column::Id)
            .filter(among(&tx.connection, case::Column::Number, numbers(keys)))
            .into_tuple()
            .all(&tx.connection)
            .await?;
        ids.extend(named);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let rows = case::Entity::find()
        .filter(among(&tx.connection, case::Column::Id, ids))
        .order_by_asc(case::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(&tx.connection)
        .await?;
    for row in rows {
        let case = casewire_domain::case::Case::try_from(row)?;
        state.case_numbers.insert(case.number, case.id);
        state.cases.insert(case.id, case);
    }
    Ok(())
}

/// Whom the batch may text, as far as they were not strangers.
async fn contacts(tx: &Tx, keys: &Keys<'_>, state: &mut State) -> Result<(), Error> {
    let mut wanted = state.addressees(keys);
    wanted.retain(|contact| !state.contacts.contains_key(contact));
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = contact::Entity::find()
        .filter(among(&tx.connection, contact::Column::Id, wanted.into_iter().map(|contact| contact.0)))
        .all(&tx.connection)
        .await?;
    state.contacts.extend(rows.into_iter().map(|row| (ContactId(row.id), row.into())));
    Ok(())
}

/// The ids of all messages the batch decides on, by our id, by the provider's, and by idempotency key.
async fn message_ids(tx: &Tx, keys: &Keys<'_>, state: &mut State) -> Result<BTreeSet<Uuid>, Error> {
    let mut ids: BTreeSet<Uuid> = keys.messages.iter().map(|id| id.0).collect();
    ids.extend(bound_ids(tx, keys, state).await?);
    for (author, key) in &keys.replies {
        let row = reply_key::Entity::find_by_id((author.clone(), key.clone())).one(&tx.connection).await?;
        if let Some(row) = row {
            ids.insert(row.message_id);
            state.replies.insert((author.clone(), key.clone()), row.message_id.into());
        }
    }
    Ok(ids)
}

/// The ids of the messages that have the provider's ids in question.
async fn bound_ids(tx: &Tx, keys: &Keys<'_>, state: &mut State) -> Result<Vec<Uuid>, Error> {
    if keys.sids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Uuid, Uuid, String)> = message::Entity::find()
        .select_only()
        .columns([message::Column::Id, message::Column::AccountId, message::Column::ProviderSid])
        .filter(among(&tx.connection, message::Column::ProviderSid, keys.sids.iter().map(String::as_str)))
        .into_tuple()
        .all(&tx.connection)
        .await?;
    let ids = rows.iter().map(|(id, _, _)| *id).collect();
    state.sids.extend(rows.into_iter().map(|(id, account, sid)| ((account.into(), sid), MessageId(id))));
    Ok(ids)
}

async fn lock_messages(tx: &Tx, ids: BTreeSet<Uuid>, state: &mut State) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let on_their_way = outbox::Entity::find()
        .filter(among(&tx.connection, outbox::Column::MessageId, ids.iter().copied()))
        .order_by_asc(outbox::Column::MessageId)
        .lock_exclusive()
        .all(&tx.connection)
        .await?;
    for row in on_their_way {
        state.outbox.insert(row.message_id.into(), row.try_into()?);
    }
    let rows = message::Entity::find()
        .filter(among(&tx.connection, message::Column::Id, ids))
        .order_by_asc(message::Column::Id)
        .lock_exclusive()
        .all(&tx.connection)
        .await?;
    for row in rows {
        let message = casewire_domain::message::Message::try_from(row)?;
        state.messages.insert(message.id, message);
    }
    Ok(())
}

async fn events(tx: &Tx, keys: &Keys<'_>, state: &mut State) -> Result<(), Error> {
    if keys.events.is_empty() {
        return Ok(());
    }
    let rows: Vec<(String, String)> = event::Entity::find()
        .select_only()
        .columns([event::Column::DedupeId, event::Column::Outcome])
        .filter(among(&tx.connection, event::Column::DedupeId, keys.events.iter().map(DedupeId::as_str)))
        .into_tuple()
        .all(&tx.connection)
        .await?;
    for (id, outcome) in rows {
        let id = DedupeId::new(id).ok_or(Error::Unreadable { table: "event", what: "an unusable id" })?;
        state.known_events.insert(id.clone());
        state.events.insert(id, word("event", EventOutcome::parse, &outcome)?);
    }
    Ok(())
}

async fn suppressions(tx: &Tx, state: &mut State) -> Result<(), Error> {
    let of_lanes = state.conversations.values().map(|lane| lane.contact_id);
    let of_cases = state.cases.values().map(|case| case.contact_id);
    let contacts: BTreeSet<Uuid> = of_lanes.chain(of_cases).map(|contact| contact.0).collect();
    if contacts.is_empty() {
        return Ok(());
    }
    let rows = suppression::Entity::find()
        .filter(among(&tx.connection, suppression::Column::ContactId, contacts))
        .all(&tx.connection)
        .await?;
    for row in rows {
        let lane = (row.line_id.into(), row.contact_id.into());
        state.suppressions.insert(lane, row.try_into()?);
    }
    Ok(())
}

/// Automatic replies of the last day, which the loop guard counts.
async fn automatic(tx: &Tx, keys: &Keys<'_>, state: &mut State) -> Result<(), Error> {
    let contacts: Vec<Uuid> = state.guarded(keys).into_iter().map(|contact| contact.0).collect();
    if contacts.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid, Uuid, chrono::DateTime<chrono::Utc>)> = message::Entity::find()
        .select_only()
        .columns([message::Column::LineId, message::Column::ContactId, message::Column::ProcessedAt])
        // As the index `message_automatic` says it: SQLite takes an index of some rows only for the same words.
        .filter(Expr::col(message::Column::Automatic.as_column_ref()))
        .filter(among(&tx.connection, message::Column::ContactId, contacts))
        .filter(message::Column::ProcessedAt.gt(tx.at - TimeDelta::days(1)))
        .into_tuple()
        .all(&tx.connection)
        .await?;
    for (line, contact, at) in rows {
        state.automatic.entry((line.into(), contact.into())).or_default().push(at);
    }
    Ok(())
}
