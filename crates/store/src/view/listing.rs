//! Lists of cases, a page at a time.

use std::collections::{BTreeSet, HashMap};

use casewire_domain::case::{Case, CaseStatus};
use casewire_domain::contact::Contact;
use casewire_domain::message::Direction;
use casewire_domain::{CaseNumber, Text};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    RelationTrait,
};
use uuid::Uuid;

use super::related;
use crate::Store;
use crate::bulk::among;
use crate::entity::{case, contact, line, message};
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

impl Store {
    /// A page of cases, the one that changed last first: three queries, however many cases it has.
    pub async fn list_cases(
        &self,
        filter: &CaseFilter,
        limit: u64,
        after: Option<Cursor>,
    ) -> Result<Page, Error> {
        self.in_time(self.read_page(filter, limit, after)).await
    }

    async fn read_page(&self, filter: &CaseFilter, limit: u64, after: Option<Cursor>) -> Result<Page, Error> {
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
        let mut rows = query.all(&self.inner.connections.reader).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let items = self.summaries(rows).await?;
        let next = items
            .last()
            .filter(|_| more)
            .map(|last: &CaseSummary| Cursor { updated_at: last.case.updated_at, number: last.case.number });
        Ok(Page { items, next })
    }

    async fn summaries(
        &self,
        rows: Vec<(case::Model, Option<contact::Model>)>,
    ) -> Result<Vec<CaseSummary>, Error> {
        let lines = self.webhook_ids(rows.iter().map(|(row, _)| row.line_id).collect()).await?;
        let mut newest = self.newest_texts(rows.iter().map(|(row, _)| row.id)).await?;
        rows.into_iter()
            .map(|(row, contact)| {
                let line = lines.get(&row.line_id).cloned().unwrap_or_default();
                let last_message = newest.remove(&row.id);
                Ok(CaseSummary { contact: related(contact)?, line, last_message, case: row.try_into()? })
            })
            .collect()
    }

    async fn webhook_ids(&self, lines: BTreeSet<Uuid>) -> Result<HashMap<Uuid, String>, Error> {
        let reader = &self.inner.connections.reader;
        let rows: Vec<(Uuid, String)> = line::Entity::find()
            .select_only()
            .columns([line::Column::Id, line::Column::WebhookId])
            .filter(among(reader, line::Column::Id, lines))
            .into_tuple()
            .all(reader)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// The newest text of each of these cases: each is one look at the index `message_thread`, however long its case.
    async fn newest_texts(
        &self,
        cases: impl Iterator<Item = Uuid>,
    ) -> Result<HashMap<Uuid, LastMessage>, Error> {
        let (reader, text) = (&self.inner.connections.reader, Alias::new("text"));
        let newest = Query::select()
            .column((text.clone(), message::Column::Id))
            .from_as(message::Entity, text.clone())
            .and_where(
                Expr::col((text.clone(), message::Column::CaseId)).equals((case::Entity, case::Column::Id)),
            )
            .order_by((text.clone(), message::Column::ReceivedAt), Order::Desc)
            .order_by((text, message::Column::Id), Order::Desc)
            .limit(1)
            .to_owned();
        let ids = Query::select()
            .expr(Expr::SubQuery(None, Box::new(newest.into())))
            .from(case::Entity)
            .and_where(among(reader, case::Column::Id, cases))
            .to_owned();
        let rows: Vec<(Uuid, String, String, DateTime<Utc>)> = message::Entity::find()
            .select_only()
            .columns([
                message::Column::CaseId,
                message::Column::Direction,
                message::Column::Body,
                message::Column::ReceivedAt,
            ])
            .filter(message::Column::Id.in_subquery(ids))
            .into_tuple()
            .all(reader)
            .await?;
        rows.into_iter()
            .map(|(case, direction, body, received_at)| {
                let direction = message::direction(&direction)?;
                Ok((case, LastMessage { direction, body: Text::new(body), received_at }))
            })
            .collect()
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
