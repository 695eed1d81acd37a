//! What people look at: lists of cases, one case with its thread, the trail since a point.

mod listing;

use casewire_domain::case::Case;
use casewire_domain::contact::Contact;
use casewire_domain::message::Message;
use casewire_domain::{CaseId, CaseNumber, MessageId};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde_json::Value;
use uuid::Uuid;

pub use listing::{CaseFilter, CaseSummary, Cursor, LastMessage, Page};

use crate::Store;
use crate::bulk::among;
use crate::entity::{case, case_event, contact, json, line, message, outbox, suppression};
use crate::error::Error;

/// One case with everything in it.
#[derive(Clone, Debug)]
pub struct CaseView {
    /// The case.
    pub case: Case,
    /// Who takes part in it.
    pub contact: Contact,
    /// The webhook id of its line.
    pub line: String,
    /// Whether the contact has opted out of texts on that line.
    pub opted_out: bool,
    /// Its texts, by the time they were received or written.
    pub messages: Vec<MessageView>,
    /// Its trail, oldest first.
    pub trail: Vec<TrailView>,
}

/// A text with what the outbox knows of it.
#[derive(Clone, Debug)]
pub struct MessageView {
    /// The text.
    pub message: Message,
    /// Where it stands in the outbox; `None` once it is settled, and for customers' texts.
    pub outbox: Option<casewire_domain::outbox::OutboxState>,
    /// Whether a person must decide what becomes of it.
    pub held: bool,
}

/// One entry of a trail.
#[derive(Clone, Debug)]
pub struct TrailView {
    /// Its place among all entries.
    pub id: i64,
    /// The case.
    pub case_id: CaseId,
    /// The case's number.
    pub case: CaseNumber,
    /// Who did it.
    pub actor: String,
    /// What happened.
    pub kind: String,
    /// Why.
    pub why: Value,
    /// What changed.
    pub change: Value,
    /// When.
    pub at: DateTime<Utc>,
}

impl Store {
    async fn line_of(&self, id: Uuid) -> Result<String, Error> {
        let row: Option<String> = line::Entity::find_by_id(id)
            .select_only()
            .column(line::Column::WebhookId)
            .into_tuple()
            .one(&self.inner.connections.reader)
            .await?;
        Ok(row.unwrap_or_default())
    }

    /// One case with everything in it; `None` when no case has this number.
    pub async fn case(&self, number: CaseNumber) -> Result<Option<CaseView>, Error> {
        self.in_time(self.read_case(number)).await
    }

    async fn read_case(&self, number: CaseNumber) -> Result<Option<CaseView>, Error> {
        let connection = &self.inner.connections.reader;
        let stored = i32::try_from(number.value()).unwrap_or(i32::MAX);
        let found = case::Entity::find()
            .find_also_related(contact::Entity)
            .filter(case::Column::Number.eq(stored))
            .one(connection)
            .await?;
        let Some((row, contact)) = found else { return Ok(None) };
        let messages = message::Entity::find()
            .find_also_related(outbox::Entity)
            .filter(message::Column::CaseId.eq(row.id))
            .order_by_asc(message::Column::ReceivedAt)
            .order_by_asc(message::Column::Id)
            .all(connection)
            .await?;
        let trail = case_event::Entity::find()
            .filter(case_event::Column::CaseId.eq(row.id))
            .order_by_asc(case_event::Column::Id)
            .all(connection)
            .await?;
        let opted_out =
            suppression::Entity::find_by_id((row.line_id, row.contact_id)).one(connection).await?;
        Ok(Some(CaseView {
            opted_out: opted_out.is_some_and(|row| row.active),
            contact: related(contact)?,
            line: self.line_of(row.line_id).await?,
            messages: messages.into_iter().map(message_view).collect::<Result<_, _>>()?,
            trail: trail.into_iter().map(|entry| trail_view(entry, number)).collect::<Result<_, _>>()?,
            case: row.try_into()?,
        }))
    }

    /// One message, with what the outbox knows of it.
    pub async fn message(&self, id: MessageId) -> Result<Option<MessageView>, Error> {
        let found = message::Entity::find_by_id(id.0)
            .find_also_related(outbox::Entity)
            .one(&self.inner.connections.reader);
        self.in_time(async { Ok(found.await?) }).await?.map(message_view).transpose()
    }

    /// Trail entries after `cursor`, oldest first. Ids commit out of order: a reader that follows the trail asks for
    /// those that it has missed by [`Store::trail_at`].
    pub async fn trail_since(&self, cursor: i64, most: u64) -> Result<Vec<TrailView>, Error> {
        self.trail(case_event::Entity::find().filter(case_event::Column::Id.gt(cursor)).limit(most)).await
    }

    /// Those of these trail entries that are there, oldest first.
    pub async fn trail_at(&self, ids: &[i64]) -> Result<Vec<TrailView>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let reader = &self.inner.connections.reader;
        let these = among(reader, case_event::Column::Id, ids.iter().copied());
        self.trail(case_event::Entity::find().filter(these)).await
    }

    async fn trail(&self, entries: Select<case_event::Entity>) -> Result<Vec<TrailView>, Error> {
        let found = entries
            .find_also_related(case::Entity)
            .order_by_asc(case_event::Column::Id)
            .all(&self.inner.connections.reader);
        let rows = self.in_time(async { Ok(found.await?) }).await?;
        rows.into_iter()
            .map(|(entry, case)| {
                let case = case.ok_or(Error::Unreadable { table: "case_event", what: "its case" })?;
                trail_view(entry, case::number(case.number)?)
            })
            .collect()
    }

    /// The newest trail entry's place, where somebody who wants only news begins.
    pub async fn trail_end(&self) -> Result<i64, Error> {
        let found = case_event::Entity::find()
            .select_only()
            .column_as(case_event::Column::Id.max(), "newest")
            .into_tuple()
            .one(&self.inner.connections.reader);
        let newest: Option<Option<i64>> = self.in_time(async { Ok(found.await?) }).await?;
        Ok(newest.flatten().unwrap_or(0))
    }
}

fn related(contact: Option<contact::Model>) -> Result<Contact, Error> {
    contact.map(Contact::from).ok_or(Error::Unreadable { table: "case", what: "its contact" })
}

fn message_view((row, outbox): (message::Model, Option<outbox::Model>)) -> Result<MessageView, Error> {
    let outbox = outbox.map(casewire_domain::outbox::Outgoing::try_from).transpose()?;
    let held = outbox.as_ref().is_some_and(|row| row.settling.held_at.is_some());
    Ok(MessageView { message: row.try_into()?, outbox: outbox.map(|row| row.state), held })
}

fn trail_view(entry: case_event::Model, case: CaseNumber) -> Result<TrailView, Error> {
    Ok(TrailView {
        id: entry.id,
        case_id: entry.case_id.into(),
        case,
        actor: entry.actor,
        kind: entry.kind,
        why: json("case_event", serde_json::from_str(&entry.why))?,
        change: json("case_event", serde_json::from_str(&entry.change))?,
        at: entry.at,
    })
}
