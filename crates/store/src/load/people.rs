//! Who a batch's texts are from: conversations, locked, and the contacts of those who text a line for the first time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use casewire_domain::contact::{Contact, generated_email, generated_name};
use casewire_domain::inbound::Location;
use casewire_domain::plan::Keys;
use casewire_domain::state::State;
use casewire_domain::{Address, ContactId, LineId, WorkspaceId};
use sea_orm::sea_query::{Condition, Expr, LockBehavior, LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use uuid::Uuid;

use crate::Inner;
use crate::bulk::{among, insert};
use crate::entity::{case, contact, conversation};
use crate::error::Error;
use crate::transaction::Tx;

/// Senders who have no conversation on the line they texted.
type Strangers<'k> = Vec<(&'k (LineId, Address), &'k WorkspaceId)>;

/// Locks the conversations the batch decides on: those of its texts, of the cases it names, and of the texts that are
/// being settled. Those of strangers are made.
///
/// # Errors
/// [`Error::Conflict`] where another transaction made one of them meanwhile and yet another has it locked. To wait for
/// that one, which may wait for what was made here, is not safe; the next try finds the conversation.
pub(super) async fn conversations(
    tx: &Tx,
    inner: &Inner,
    keys: &Keys<'_>,
    state: &mut State,
) -> Result<(), Error> {
    let mut ids = super::settling::lanes(tx, keys).await?;
    ids.extend(of_named_cases(tx, keys).await?);
    if keys.conversations.is_empty() && ids.is_empty() {
        return Ok(());
    }
    // In one statement, whatever they are known by: they are locked in the order of their ids.
    // Not to change their keys, so that whoever refers to one of them need not wait.
    let who = Condition::any()
        .add_option((!keys.conversations.is_empty()).then(|| of(tx, keys.conversations.keys())))
        .add_option((!ids.is_empty()).then(|| among(&tx.connection, conversation::Column::Id, ids)));
    locked(tx, conversation::Entity::find().filter(who).lock(LockType::NoKeyUpdate), state).await?;
    let new = strangers(keys, state);
    if new.is_empty() { Ok(()) } else { make(tx, inner, keys, &new, state).await }
}

/// Of these senders, on any of these lines.
fn of<'k>(tx: &Tx, senders: impl Iterator<Item = &'k (LineId, Address)> + Clone) -> Condition {
    let lines: BTreeSet<Uuid> = senders.clone().map(|(line, _)| line.0).collect();
    let addresses = senders.map(|(_, address)| address.reveal());
    Condition::all().add(among(&tx.connection, conversation::Column::Key, addresses)).add(among(
        &tx.connection,
        conversation::Column::LineId,
        lines,
    ))
}

/// Conversations in the order of their ids, which SQLite, with one writer, need not keep. PostgreSQL is told it by the
/// bytes: by the column it would read a small table whole in the order of its key, and the same one once it has grown.
async fn locked(tx: &Tx, which: Select<conversation::Entity>, state: &mut State) -> Result<(), Error> {
    let which = match tx.connection.get_database_backend() {
        DbBackend::Postgres => which.order_by_asc(Expr::cust("uuid_send(conversation.id)")),
        _ => which,
    };
    let rows = which.all(&tx.connection).await?;
    rows.into_iter().for_each(|row| state.add_conversation(row.into()));
    Ok(())
}

fn strangers<'k>(keys: &'k Keys<'k>, state: &State) -> Strangers<'k> {
    let new = |key: &(LineId, Address)| !state.conversations_by_address.contains_key(key);
    keys.conversations.iter().filter(|(key, _)| new(key)).collect()
}

async fn of_named_cases(tx: &Tx, keys: &Keys<'_>) -> Result<Vec<Uuid>, Error> {
    if keys.case_numbers.is_empty() {
        return Ok(Vec::new());
    }
    let named = case::Entity::find()
        .select_only()
        .column(case::Column::ConversationId)
        .filter(among(&tx.connection, case::Column::Number, super::numbers(keys)))
        .into_tuple();
    Ok(named.all(&tx.connection).await?)
}

/// Makes the conversations of strangers, in their order.
async fn make(
    tx: &Tx,
    inner: &Inner,
    keys: &Keys<'_>,
    new: &Strangers<'_>,
    state: &mut State,
) -> Result<(), Error> {
    let people: People<'_> = new
        .iter()
        .filter_map(|((_, address), workspace)| keys.contacts.get_key_value(&(**workspace, address.clone())))
        .map(|(key, location)| (key, *location))
        .collect();
    let contacts = contacts(tx, inner, people, state).await?;
    let row = |((line, address), workspace): &(&(LineId, Address), &WorkspaceId)| {
        let contact = contacts.get(&(**workspace, address.clone()));
        let contact =
            contact.ok_or(Error::Unreadable { table: "contact", what: "one that was made is not found" })?;
        Ok(conversation::ActiveModel {
            id: Set((inner.mint)()),
            line_id: Set(line.0),
            key: Set(address.reveal().to_owned()),
            contact_id: Set(contact.0),
            current_case_id: Set(None),
        })
    };
    let or_not = OnConflict::columns([conversation::Column::LineId, conversation::Column::Key])
        .do_nothing()
        .to_owned();
    let rows: Result<_, Error> = new.iter().map(row).collect();
    insert(tx, rows?, Some(or_not)).await?;
    let made = conversation::Entity::find()
        .filter(of(tx, new.iter().map(|(sender, _)| *sender)))
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
    locked(tx, made, state).await?;
    match strangers(keys, state).is_empty() {
        true => Ok(()),
        false => {
            Err(Error::Conflict(DbErr::Custom("a conversation was made elsewhere, and is in use".to_owned())))
        }
    }
}

type People<'k> = BTreeMap<&'k (WorkspaceId, Address), &'k Location>;

/// Contacts by address; those that do not exist yet are made, in the order of their addresses.
async fn contacts(
    tx: &Tx,
    inner: &Inner,
    mut people: People<'_>,
    state: &mut State,
) -> Result<HashMap<(WorkspaceId, Address), ContactId>, Error> {
    let mut known = known_contacts(tx, &people, state).await?;
    people.retain(|key, _| !known.contains_key(*key));
    if people.is_empty() {
        return Ok(known);
    }
    let row =
        |((workspace, address), location): (&&(WorkspaceId, Address), &&Location)| contact::ActiveModel {
            id: Set((inner.mint)()),
            workspace_id: Set(workspace.0),
            address: Set(address.reveal().to_owned()),
            name: Set(generated_name(address, location).into_revealed()),
            email: Set(generated_email(address).into_revealed()),
            created_at: Set(tx.at),
        };
    let or_not =
        OnConflict::columns([contact::Column::WorkspaceId, contact::Column::Address]).do_nothing().to_owned();
    insert(tx, people.iter().map(row).collect(), Some(or_not)).await?;
    known.extend(known_contacts(tx, &people, state).await?);
    Ok(known)
}

async fn known_contacts(
    tx: &Tx,
    wanted: &People<'_>,
    state: &mut State,
) -> Result<HashMap<(WorkspaceId, Address), ContactId>, Error> {
    // In every workspace; which are ours is looked at here: see the index `contact_address`.
    let addresses = wanted.keys().map(|(_, address)| address.reveal());
    let rows = contact::Entity::find()
        .filter(among(&tx.connection, contact::Column::Address, addresses))
        .all(&tx.connection)
        .await?;
    let contacts = rows.into_iter().map(Contact::from);
    let key = |contact: &Contact| (contact.workspace_id, contact.address.clone());
    let ours: Vec<_> = contacts.filter(|contact| wanted.contains_key(&key(contact))).collect();
    let ids = ours.iter().map(|contact| (key(contact), contact.id)).collect();
    state.contacts.extend(ours.into_iter().map(|contact| (contact.id, contact)));
    Ok(ids)
}
