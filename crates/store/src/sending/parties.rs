//! Everything around the messages of a claim.

use std::collections::HashSet;

use casewire_domain::line::WhenUncertain;
use casewire_domain::{Address, Text, TraceParent};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::{Claimed, Unsettled};
use crate::bulk::among;
use crate::directory;
use crate::entity::{account, contact, line, message, outbox, suppression, uncount, word};
use crate::error::Error;
use crate::transaction::Tx;

/// Everything a sender needs of these messages, in the order they were queued.
pub(super) async fn claimed(tx: &Tx, ids: Vec<Uuid>) -> Result<Vec<Claimed>, Error> {
    each(tx, ids, Parties::claimed).await
}

/// Everything a settler needs of these messages, in the order they were queued.
pub(super) async fn unsettled(tx: &Tx, ids: Vec<Uuid>) -> Result<Vec<Unsettled>, Error> {
    each(tx, ids, |parties, row| parties.unsettled(row, tx.at)).await
}

async fn each<T>(
    tx: &Tx,
    ids: Vec<Uuid>,
    of: impl Fn(&Parties, outbox::Model) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = outbox::Entity::find()
        .filter(among(&tx.connection, outbox::Column::MessageId, ids.iter().copied()))
        .order_by_asc(outbox::Column::QueuedAt)
        .order_by_asc(outbox::Column::MessageId)
        .all(&tx.connection)
        .await?;
    let people = Parties::load(tx, &ids).await?;
    rows.into_iter().map(|row| of(&people, row)).collect()
}

/// The rows around a claim, each loaded once.
struct Parties {
    messages: Vec<message::Model>,
    contacts: Vec<contact::Model>,
    lines: Vec<line::Model>,
    accounts: Vec<account::Model>,
    suppressed: HashSet<(Uuid, Uuid)>,
}

type Around<'a> = (&'a message::Model, &'a line::Model, &'a contact::Model, &'a account::Model);

impl Parties {
    async fn load(tx: &Tx, ids: &[Uuid]) -> Result<Self, Error> {
        let db = &tx.connection;
        let messages = message::Entity::find()
            .filter(among(&tx.connection, message::Column::Id, ids.iter().copied()))
            .all(db)
            .await?;
        let distinct = |id: fn(&message::Model) -> Uuid| messages.iter().map(id).collect::<HashSet<_>>();
        let contacts = distinct(|message| message.contact_id);
        let lines = distinct(|message| message.line_id);
        let accounts = distinct(|message| message.account_id);
        let stopped = suppression::Entity::find()
            .filter(among(&tx.connection, suppression::Column::ContactId, contacts.iter().copied()))
            .filter(suppression::Column::Active.eq(true))
            .all(db)
            .await?;
        Ok(Self {
            contacts: contact::Entity::find()
                .filter(among(&tx.connection, contact::Column::Id, contacts))
                .all(db)
                .await?,
            lines: line::Entity::find()
                .filter(among(&tx.connection, line::Column::Id, lines))
                .all(db)
                .await?,
            accounts: account::Entity::find()
                .filter(among(&tx.connection, account::Column::Id, accounts))
                .all(db)
                .await?,
            suppressed: stopped.into_iter().map(|row| (row.line_id, row.contact_id)).collect(),
            messages,
        })
    }

    fn around(&self, row: &outbox::Model) -> Result<Around<'_>, Error> {
        const GONE: Error = Error::Unreadable { table: "outbox", what: "a reference" };
        let message = self.messages.iter().find(|message| message.id == row.message_id).ok_or(GONE)?;
        let line = self.lines.iter().find(|line| line.id == message.line_id).ok_or(GONE)?;
        let contact = self.contacts.iter().find(|contact| contact.id == message.contact_id).ok_or(GONE)?;
        let account = self.accounts.iter().find(|account| account.id == message.account_id).ok_or(GONE)?;
        Ok((message, line, contact, account))
    }

    fn unsettled(&self, row: outbox::Model, at: DateTime<Utc>) -> Result<Unsettled, Error> {
        let (_, line, contact, account) = self.around(&row)?;
        Ok(Unsettled {
            message_id: row.message_id.into(),
            attempt: uncount(row.attempt),
            looks: uncount(row.looks),
            // A clock that was set back makes it look as if it had just begun.
            age: (at - row.attempted_at.unwrap_or(row.due_at)).to_std().unwrap_or_default(),
            since: row.searched_from.or(row.attempted_at).unwrap_or(row.queued_at),
            from: Address::from_stored(line.address.clone()),
            to: Address::from_stored(contact.address.clone()),
            account: directory::account_entry(account.clone())?,
            when_uncertain: word("line", WhenUncertain::parse, &line.when_uncertain)?,
        })
    }

    fn claimed(&self, row: outbox::Model) -> Result<Claimed, Error> {
        let (message, line, contact, account) = self.around(&row)?;
        Ok(Claimed {
            message_id: row.message_id.into(),
            attempt: uncount(row.attempt),
            line: line.webhook_id.clone(),
            from: Address::from_stored(line.address.clone()),
            to: Address::from_stored(contact.address.clone()),
            body: Text::new(message.body.clone()),
            account: directory::account_entry(account.clone())?,
            suppressed: self.suppressed.contains(&(message.line_id, message.contact_id)),
            automatic: message.automatic,
            queued_at: row.queued_at,
            trace: message.trace.as_deref().and_then(TraceParent::parse),
        })
    }
}
