//! Who a batch's texts are from: contacts, and their conversations.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use casewire_domain::contact::{generated_email, generated_name};
use casewire_domain::plan::Keys;
use casewire_domain::state::State;
use casewire_domain::{Address, ContactId, LineId, WorkspaceId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::Inner;
use crate::bulk::{among, insert};
use crate::entity::{case, contact, conversation};
use crate::error::Error;
use crate::transaction::Tx;

/// Contacts by address; those that do not exist yet are made, in the order of their addresses.
pub(super) async fn contacts(
    tx: &Tx,
    inner: &Inner,
    keys: &Keys<'_>,
    state: &mut State,
) -> Result<(), Error> {
    known_contacts(tx, keys.contacts.keys(), state).await?;
    let missing: Vec<_> =
        keys.contacts.iter().filter(|(key, _)| !state.contacts_by_address.contains_key(key)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let rows = missing
        .iter()
        .map(|((workspace, address), location)| contact::ActiveModel {
            id: Set((inner.mint)()),
            workspace_id: Set(workspace.0),
            address: Set(address.reveal().to_owned()),
            name: Set(generated_name(address, location).into_revealed()),
            email: Set(generated_email(address).into_revealed()),
            created_at: Set(tx.at),
        })
        .collect();
    let or_not =
        OnConflict::columns([contact::Column::WorkspaceId, contact::Column::Address]).do_nothing().to_owned();
    insert(tx, rows, Some(or_not)).await?;
    known_contacts(tx, missing.into_iter().map(|(key, _)| key), state).await
}

async fn known_contacts<'k>(
    tx: &Tx,
    wanted: impl Iterator<Item = &'k (WorkspaceId, Address)>,
    state: &mut State,
) -> Result<(), Error> {
    let wanted: HashSet<_> = wanted.collect();
    if wanted.is_empty() {
        return Ok(());
    }
    // In every workspace; which are ours is looked at here: see the index `contact_address`.
    let addresses = wanted.iter().map(|(_, address)| address.reveal());
    let rows = contact::Entity::find()
        .filter(among(&tx.connection, contact::Column::Address, addresses))
        .all(&tx.connection)
        .await?;
    for row in rows {
        let known = casewire_domain::contact::Contact::from(row);
        let key = (known.workspace_id, known.address.clone());
        if wanted.contains(&key) {
            state.contacts_by_address.insert(key, known.id);
            state.contacts.insert(known.id, known);
        }
    }
    Ok(())
}

/// The ids of all conversations the batch decides on: those of its texts (made where they do not exist
/// yet), those of their current cases, and those of the cases it names.
pub(super) async fn conversations(
    tx: &Tx,
    inner: &Inner,
    keys: &Keys<'_>,
    state: &State,
) -> Result<BTreeSet<Uuid>, Error> {
    let wanted: BTreeMap<(LineId, ContactId), &str> = keys
        .conversations
        .iter()
        .filter_map(|(line, workspace, address)| {
            let contact = state.contacts_by_address.get(&(*workspace, address.clone()))?;
            Some(((*line, *contact), address.reveal()))
        })
        .collect();
    let mut lanes = known_conversations(tx, &wanted).await?;
    let missing: BTreeMap<_, _> = wanted.into_iter().filter(|(lane, _)| !lanes.contains_key(lane)).collect();
    if !missing.is_empty() {
        let rows = missing
            .iter()
            .map(|((line, contact), key)| conversation::ActiveModel {
                id: Set((inner.mint)()),
                line_id: Set(line.0),
                key: Set((*key).to_owned()),
                contact_id: Set(contact.0),
                current_case_id: Set(None),
            })
            .collect();
        let or_not = OnConflict::columns([conversation::Column::LineId, conversation::Column::Key])
            .do_nothing()
            .to_owned();
        insert(tx, rows, Some(or_not)).await?;
        lanes.extend(known_conversations(tx, &missing).await?);
    }
    let mut ids: BTreeSet<Uuid> = lanes.values().copied().collect();
    if !keys.case_numbers.is_empty() {
        let named: Vec<Uuid> = case::Entity::find()
            .select_only()
            .column(case::Column::ConversationId)
            .filter(among(&tx.connection, case::Column::Number, super::numbers(keys)))
            .into_tuple()
            .all(&tx.connection)
            .await?;
        ids.extend(named);
    }
    Ok(ids)
}

async fn known_conversations(
    tx: &Tx,
    wanted: &BTreeMap<(LineId, ContactId), &str>,
) -> Result<HashMap<(LineId, ContactId), Uuid>, Error> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let contacts: BTreeSet<Uuid> = wanted.keys().map(|(_, contact)| contact.0).collect();
    let rows: Vec<(Uuid, Uuid, Uuid)> = conversation::Entity::find()
        .select_only()
        .columns([conversation::Column::LineId, conversation::Column::ContactId, conversation::Column::Id])
        .filter(among(&tx.connection, conversation::Column::ContactId, contacts))
        .into_tuple()
        .all(&tx.connection)
        .await?;
    let lanes = rows.into_iter().map(|(line, contact, id)| ((line.into(), contact.into()), id));
    Ok(lanes.filter(|(lane, _)| wanted.contains_key(lane)).collect())
}
