//! Comparing the provider's lists with what is stored: who asked, how far each line is, and what was found.

use std::collections::HashMap;

use casewire_domain::message::Direction;
use casewire_domain::{DeliveryStatus, LineId, Progress};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bulk::among;
use crate::entity::{account, json, line_listing, message, reconciliation, request};
use crate::error::Error;
use crate::request::ask;
use crate::transaction::Tx;
use crate::{Inner, Store};

/// One comparison of the provider's lists with what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// Its id: of the request, where a person asked for it.
    pub id: Uuid,
    /// What began it.
    pub asked_by: AskedBy,
    /// From when on; `None` where each line has a beginning of its own.
    pub since: Option<DateTime<Utc>>,
    /// When it began, by the worker's clock.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None` while it runs, or where its worker is gone.
    pub finished_at: Option<DateTime<Utc>>,
    /// How many lines there are to compare.
    pub lines_total: u32,
    /// Those compared so far, and the one in work.
    pub lines: Vec<LineReport>,
}

/// What begins a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// Its time had come.
    Schedule,
    /// The stream was made again: what it held is only on the provider's list.
    Loss,
    /// `casewire reconcile`.
    Person,
}

/// What was found on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineReport {
    /// The line, by the id of its webhook.
    pub line: String,
    /// From when on.
    pub since: DateTime<Utc>,
    /// Texts the provider has, both ways.
    pub listed: u32,
    /// Of these, those that were known and as they are here.
    pub known: u32,
    /// Customers' texts that were missing and are in their cases now, or set aside with a reason.
    pub brought_in: u32,
    /// Of these, those that are dead letters.
    #[serde(default)]
    pub set_aside: u32,
    /// Delivery statuses that were behind and no longer are.
    pub statuses_corrected: u32,
    /// Texts from the line that casewire did not send.
    pub unknown_outbound: u32,
    /// Texts whose files could not be listed: they are in their cases without them.
    pub failures: u32,
    /// Why the comparison did not come to its end, or what it could not have.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Whether it did.
    pub complete: bool,
}

impl AskedBy {
    /// The word for it in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Loss => "loss",
            Self::Person => "person",
        }
    }
}

/// The kind of request that asks for a comparison.
const RECONCILE: &str = "reconcile";

/// The kind that is left where a stream was lost. Not the same: workers of before would read a time in it.
const LOSS: &str = "stream lost";

/// How long reports are kept: an hourly one is 8 KB a day for each line.
const KEPT_DAYS: i64 = 90;

/// Asks for a comparison from then on.
pub(crate) async fn ask_from(tx: &Tx, inner: &Inner, since: DateTime<Utc>) -> Result<Uuid, Error> {
    ask(tx, inner, RECONCILE, since.to_rfc3339()).await
}

impl Store {
    /// Asks a worker to compare the provider's lists from then on; the request's id, which the report will have.
    pub async fn request_reconciliation(&self, since: DateTime<Utc>) -> Result<Uuid, Error> {
        self.in_tx(move |tx, inner| Box::pin(async move { ask_from(tx, inner, since).await })).await
    }

    /// The oldest such request nobody has done yet, and from when on it asks.
    pub async fn open_reconciliation(&self) -> Result<Option<(Uuid, DateTime<Utc>)>, Error> {
        let found = request::Entity::find()
            .filter(Expr::cust("done_at is null"))
            .filter(request::Column::Kind.eq(RECONCILE))
            .order_by_asc(request::Column::CreatedAt)
            .one(&self.inner.connections.reader);
        let row = self.in_time(async { Ok(found.await?) }).await?;
        let request = |row: request::Model| {
            let since = DateTime::parse_from_rfc3339(&row.subject);
            let since = since.map_err(|_| Error::Unreadable { table: "request", what: "its time" })?;
            Ok((row.id, since.to_utc()))
        };
        row.map(request).transpose()
    }

    /// Losses of streams that no comparison has made good yet, oldest first.
    pub async fn open_losses(&self) -> Result<Vec<Uuid>, Error> {
        let found = request::Entity::find()
            .select_only()
            .column(request::Column::Id)
            .filter(Expr::cust("done_at is null"))
            .filter(request::Column::Kind.eq(LOSS))
            .order_by_asc(request::Column::CreatedAt)
            .into_tuple()
            .all(&self.inner.connections.reader);
        self.in_time(async { Ok(found.await?) }).await
    }

    /// Writes a report, or how far it has come.
    pub async fn put_reconciliation(&self, report: Reconciliation) -> Result<(), Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let old = tx.at - TimeDelta::days(KEPT_DAYS);
                reconciliation::Entity::delete_many()
                    .filter(reconciliation::Column::StartedAt.lt(old))
                    .exec(&tx.connection)
                    .await?;
                let row = reconciliation::ActiveModel {
                    id: Set(report.id),
                    asked_by: Set(report.asked_by.as_str().to_owned()),
                    since: Set(report.since),
                    started_at: Set(report.started_at),
                    finished_at: Set(report.finished_at),
                    lines_total: Set(i32::try_from(report.lines_total).unwrap_or(i32::MAX)),
                    lines: Set(serde_json::json!(report.lines)),
                };
                use reconciliation::Column::{FinishedAt, Lines, LinesTotal, StartedAt};
                let again = OnConflict::column(reconciliation::Column::Id)
                    .update_columns([StartedAt, FinishedAt, LinesTotal, Lines])
                    .to_owned();
                reconciliation::Entity::insert(row)
                    .on_conflict(again)
                    .exec_without_returning(&tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// One report, finished or not.
    pub async fn reconciliation(&self, id: Uuid) -> Result<Option<Reconciliation>, Error> {
        let found = reconciliation::Entity::find_by_id(id).one(&self.inner.connections.reader);
        let row = self.in_time(async { Ok(found.await?) }).await?;
        row.map(read).transpose()
    }

    /// The newest reports.
    pub async fn reconciliations(&self, most: u64) -> Result<Vec<Reconciliation>, Error> {
        let found = reconciliation::Entity::find()
            .order_by_desc(reconciliation::Column::StartedAt)
            .limit(most)
            .all(&self.inner.connections.reader);
        self.in_time(async { Ok(found.await?) }).await?.into_iter().map(read).collect()
    }

    /// The last comparison that ended and went on from where each line was; `None` before the first. What a person
    /// asks for is about a time of their own.
    pub async fn last_reconciliation(&self) -> Result<Option<Reconciliation>, Error> {
        let found = reconciliation::Entity::find()
            .filter(reconciliation::Column::FinishedAt.is_not_null())
            .filter(reconciliation::Column::AskedBy.ne(AskedBy::Person.as_str()))
            .order_by_desc(reconciliation::Column::FinishedAt)
            .one(&self.inner.connections.reader);
        self.in_time(async { Ok(found.await?) }).await?.map(read).transpose()
    }

    /// Up to when each line was compared with the provider's list.
    pub async fn listed_to(&self) -> Result<HashMap<LineId, DateTime<Utc>>, Error> {
        let found = line_listing::Entity::find().all(&self.inner.connections.reader);
        let rows = self.in_time(async { Ok(found.await?) }).await?;
        Ok(rows.into_iter().map(|row| (row.line_id.into(), row.listed_to)).collect())
    }

    /// Writes down up to when a line was compared. It never goes back.
    pub async fn put_listed_to(&self, line: LineId, to: DateTime<Utc>) -> Result<(), Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let row = line_listing::ActiveModel { line_id: Set(line.0), listed_to: Set(to) };
                let forward = OnConflict::column(line_listing::Column::LineId)
                    .update_column(line_listing::Column::ListedTo)
                    .action_and_where(Expr::cust("excluded.listed_to > line_listing.listed_to"))
                    .to_owned();
                line_listing::Entity::insert(row)
                    .on_conflict(forward)
                    .exec_without_returning(&tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// How far our texts of these ids have come, for those that are ours: sent through this account, by the
    /// provider's id of it.
    pub async fn outbound_progress(
        &self,
        account_sid: &str,
        sids: &[String],
    ) -> Result<HashMap<String, Progress>, Error> {
        type Row = (Option<String>, i32, Option<String>, Option<i32>);
        let reader = &self.inner.connections.reader;
        let rows = self.in_time(async {
            let owner =
                account::Entity::find().filter(account::Column::Sid.eq(account_sid)).one(reader).await?;
            let Some(owner) = owner else { return Ok(Vec::new()) };
            let ours = message::Entity::find()
                .select_only()
                .column(message::Column::ProviderSid)
                .column(message::Column::Seen)
                .column(message::Column::ErrorStatus)
                .column(message::Column::ErrorCode)
                .filter(among(reader, message::Column::ProviderSid, sids))
                .filter(message::Column::AccountId.eq(owner.id))
                .filter(message::Column::Direction.eq(Direction::Outbound.as_str()));
            Ok(ours.into_tuple::<Row>().all(reader).await?)
        });
        let rows = rows.await?;
        let progress = |(sid, seen, status, code): Row| {
            let status = status.as_deref().and_then(DeliveryStatus::parse);
            let error = status.zip(code.and_then(|code| u32::try_from(code).ok()));
            Some((sid?, Progress::from_stored(u8::try_from(seen).unwrap_or(0), error)))
        };
        Ok(rows.into_iter().filter_map(progress).collect())
    }
}

/// Leaves a comparison to be done because this stream was lost.
pub(crate) async fn ask_for_loss(tx: &Tx, inner: &Inner, stream: &str) -> Result<(), Error> {
    ask(tx, inner, LOSS, stream.to_owned()).await.map(drop)
}

fn read(row: reconciliation::Model) -> Result<Reconciliation, Error> {
    let asked_by = [AskedBy::Schedule, AskedBy::Loss, AskedBy::Person]
        .into_iter()
        .find(|by| by.as_str() == row.asked_by);
    Ok(Reconciliation {
        id: row.id,
        asked_by: asked_by.ok_or(Error::Unreadable { table: "reconciliation", what: "an unknown word" })?,
        since: row.since,
        started_at: row.started_at,
        finished_at: row.finished_at,
        lines_total: u32::try_from(row.lines_total).unwrap_or(0),
        lines: json("reconciliation", serde_json::from_value(row.lines))?,
    })
}
