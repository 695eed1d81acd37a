//! What people look at: lists of cases, one case with its thread, the trail since a point.

use casewire_domain::case::{Case, CaseStatus};
use casewire_domain::contact::Contact;
use casewire_domain::message::{Direction, Message};
use casewire_domain::{CaseId, CaseNumber, MessageId, Text};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    RelationTrait, Select,
};
use serde_json::Value;
use uuid::Uuid;

use crate::Store;
use crate::bulk::among;
use crate::entity::{case, case_event, contact, line, message, outbox, suppression};
use crate::error::Error;

/// Which cases to list; every field narrows.
#[derive(Clone, Debug, Default)]
pub struct CaseFilter {
    /// Only with this status.
    pub status: Option<CaseStatus>,
    /// Only of this contact: its id, or its address in E.164.
    pub contact: Option<String>,
    /// Only of this line, by its webhook id.
    pub line: Option<String>,
}

/// Where a page ended: the last case's time and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the case last changed.
    pub updated_at: DateTime<Utc>,
    /// Its number, which tells cases of one moment apart.
    pub number: CaseNumber,
}

/// Cases, the one that changed last first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The cases.
    pub items: Vec<CaseSummary>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}

/// A case as it stands in a list.
#[derive(Clone, Debug)]
pub struct CaseSummary {
    /// The case.
    pub case: Case,
    /// Who takes part in it.
    pub contact: Contact,
    /// The webhook id of its line.
    pub line: String,
    /// Its newest text.
    pub last_message: Option<LastMessage>,
}

/// The newest text of a case.
#[derive(Clone, Debug)]
pub struct LastMessage {
    /// Which way it went.
    pub direction: Direction,
    /// What was written.
    pub body: Text,
    /// When it was received or written.
    pub received_at: DateTime<Utc>,
}

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
    /// A page of cases, the one that changed last first.
    pub async fn list_cases(
        &self,
        filter: &CaseFilter,
        limit: u64,
        after: Option<Cursor>,
    ) -> Result<Page, Error> {
        let connection = &self.inner.connections.reader;
        let mut query = case::Entity::find()
            .find_also_related(contact::Entity)
            .join(JoinType::InnerJoin, case::Relation::Line.def())
            .order_by_desc(case::Column::UpdatedAt)
            .order_by_desc(case::Column::Number)
            .limit(limit + 1)
            .apply_if(filter.status, |query, status| query.filter(case::Column::Status.eq(status.as_str())))
            .apply_if(filter.line.as_ref(), |query, id| query.filter(line::Column::WebhookId.eq(id)))
            .apply_if(filter.contact.as_ref(), |query, contact| query.filter(is_contact(contact)));
        if let Some(cursor) = after {
            query = query.filter(before(cursor));
        }
        let mut rows = query.all(connection).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let mut items = Vec::with_capacity(rows.len());
        for (row, contact) in rows {
            items.push(self.summary(row, contact).await?);
        }
        let next = items
            .last()
            .filter(|_| more)
            .map(|last: &CaseSummary| Cursor { updated_at: last.case.updated_at, number: last.case.number });
        Ok(Page { items, next })
    }

    async fn summary(&self, row: case::Model, contact: Option<contact::Model>) -> Result<CaseSummary, Error> {
        let last: Option<(String, String, DateTime<Utc>)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Direction, message::Column::Body, message::Column::ReceivedAt])
            .filter(message::Column::CaseId.eq(row.id))
            .order_by_desc(message::Column::ReceivedAt)
            .order_by_desc(message::Column::Id)
            .limit(1)
            .into_tuple()
            .one(&self.inner.connections.reader)
            .await?;
        let last_message = last
            .map(|(direction, body, received_at)| {
                let direction = message::direction(&direction)?;
                Ok::<_, Error>(LastMessage { direction, body: Text::new(body), received_at })
            })
            .transpose()?;
        let line = self.line_of(row.line_id).await?;
        Ok(CaseSummary { contact: related(contact)?, line, last_message, case: row.try_into()? })
    }

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
            trail: trail.into_iter().map(|entry| trail_view(entry, number)).collect(),
            case: row.try_into()?,
        }))
    }

    /// One message, with what the outbox knows of it.
    pub async fn message(&self, id: MessageId) -> Result<Option<MessageView>, Error> {
        let found = message::Entity::find_by_id(id.0)
            .find_also_related(outbox::Entity)
            .one(&self.inner.connections.reader)
            .await?;
        found.map(message_view).transpose()
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
        let rows = entries
            .find_also_related(case::Entity)
            .order_by_asc(case_event::Column::Id)
            .all(&self.inner.connections.reader)
            .await?;
        rows.into_iter()
            .map(|(entry, case)| {
                let case = case.ok_or(Error::Unreadable { table: "case_event", what: "its case" })?;
                Ok(trail_view(entry, case::number(case.number)?))
            })
            .collect()
    }

    /// The newest trail entry's place, where somebody who wants only news begins.
    pub async fn trail_end(&self) -> Result<i64, Error> {
        let newest: Option<Option<i64>> = case_event::Entity::find()
            .select_only()
            .column_as(case_event::Column::Id.max(), "newest")
            .into_tuple()
            .one(&self.inner.connections.reader)
            .await?;
        Ok(newest.flatten().unwrap_or(0))
    }
}

fn is_contact(contact: &str) -> Condition {
    let by_address = contact::Column::Address.eq(contact);
    match contact.parse::<Uuid>() {
        Ok(id) => Condition::any().add(by_address).add(contact::Column::Id.eq(id)),
        Err(_) => Condition::all().add(by_address),
    }
}

fn before(cursor: Cursor) -> Condition {
    let number = i32::try_from(cursor.number.value()).unwrap_or(i32::MAX);
    let same = Condition::all()
        .add(case::Column::UpdatedAt.eq(cursor.updated_at))
        .add(case::Column::Number.lt(number));
    Condition::any().add(case::Column::UpdatedAt.lt(cursor.updated_at)).add(same)
}

fn related(contact: Option<contact::Model>) -> Result<Contact, Error> {
    contact.map(Contact::from).ok_or(Error::Unreadable { table: "case", what: "its contact" })
}

fn message_view((row, outbox): (message::Model, Option<outbox::Model>)) -> Result<MessageView, Error> {
    let outbox = outbox.map(casewire_domain::outbox::Outgoing::try_from).transpose()?;
    let held = outbox.as_ref().is_some_and(|row| row.settling.held_at.is_some());
    Ok(MessageView { message: row.try_into()?, outbox: outbox.map(|row| row.state), held })
}

fn trail_view(entry: case_event::Model, case: CaseNumber) -> TrailView {
    TrailView {
        id: entry.id,
        case_id: entry.case_id.into(),
        case,
        actor: entry.actor,
        kind: entry.kind,
        why: entry.why,
        change: entry.change,
        at: entry.at,
    }
}
