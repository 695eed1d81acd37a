//! Events that could not be handled, events that wait, and what a command line asks a worker to do.

use std::time::Duration;

use casewire_domain::event::{DedupeId, EventKind};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Statement, Value,
};
use uuid::Uuid;

use crate::entity::{event, request, word};
use crate::error::Error;
use crate::request::ask;
use crate::{Held, Store};

/// An event that could not be handled.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its id.
    pub dedupe_id: DedupeId,
    /// Its kind.
    pub kind: EventKind,
    /// The webhook id it came for.
    pub line: String,
    /// When ingest had it.
    pub received_at: DateTime<Utc>,
    /// When it was set aside.
    pub handled_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// The event in its wire form.
    pub raw: Vec<u8>,
}

/// The kind of request that asks for a dead letter to be handled again.
const REPLAY: &str = "replay";

/// A dead letter somebody wants handled again.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// The request.
    pub id: Uuid,
    /// The event.
    pub dedupe_id: DedupeId,
    /// The event in its wire form; `None` when it is gone or no dead letter any more.
    pub raw: Option<Vec<u8>>,
}

impl Store {
    /// The newest dead letters.
    pub async fn dead_letters(&self, most: u64) -> Result<Vec<DeadLetter>, Error> {
        let found = event::Entity::find()
            .filter(Expr::cust("outcome = 'dead'"))
            .order_by_desc(event::Column::HandledAt)
            .limit(most)
            .all(&self.inner.connections.reader);
        self.in_time(async { Ok(found.await?) }).await?.into_iter().map(dead_letter).collect()
    }

    /// One dead letter.
    pub async fn dead_letter(&self, id: &DedupeId) -> Result<Option<DeadLetter>, Error> {
        let found = event::Entity::find_by_id(id.as_str())
            .filter(Expr::cust("outcome = 'dead'"))
            .one(&self.inner.connections.reader);
        self.in_time(async { Ok(found.await?) }).await?.map(dead_letter).transpose()
    }

    /// Asks a worker to handle a dead letter again; the request's id.
    pub async fn request_replay(&self, id: &DedupeId) -> Result<Uuid, Error> {
        if self.dead_letter(id).await?.is_none() {
            return Err(Error::Invalid(format!("there is no dead letter {id}")));
        }
        let subject = id.as_str().to_owned();
        self.in_tx(move |tx, inner| Box::pin(ask(tx, inner, REPLAY, subject))).await
    }

    /// Replays nobody has done yet, oldest first.
    pub async fn open_replays(&self, most: u64) -> Result<Vec<ReplayRequest>, Error> {
        self.in_time(self.read_replays(most)).await
    }

    async fn read_replays(&self, most: u64) -> Result<Vec<ReplayRequest>, Error> {
        let connection = &self.inner.connections.reader;
        let rows = request::Entity::find()
            .filter(Expr::cust("done_at is null"))
            .filter(request::Column::Kind.eq(REPLAY))
            .order_by_asc(request::Column::CreatedAt)
            .limit(most)
            .all(connection)
            .await?;
        let mut replays = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(dedupe_id) = DedupeId::new(row.subject) else { continue };
            let raw = self.dead_letter(&dedupe_id).await?.map(|letter| letter.raw);
            replays.push(ReplayRequest { id: row.id, dedupe_id, raw });
        }
        Ok(replays)
    }

    /// How many dead letters there are.
    pub async fn dead_letter_depth(&self) -> Result<Held, Error> {
        let connection = &self.inner.connections.reader;
        let sql = "select count(*) as messages, min(handled_at) as oldest from event where outcome = 'dead'";
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let found = async { Ok(Held::find_by_statement(statement).one(connection).await?) };
        Ok(self.in_time(found).await?.unwrap_or_default())
    }

    /// Statuses that came before we knew the text they speak of, and whose text is known by now: in their
    /// wire form, to be handled again. Of those received longer ago than `patience` none is looked for; those
    /// that were tried and went on waiting come last.
    pub async fn ripe_statuses(&self, most: u64, patience: Duration) -> Result<Vec<Vec<u8>>, Error> {
        let connection = &self.inner.connections.reader;
        let sql = "select e.raw from event e where e.outcome = 'waiting' and e.raw is not null \
                   and e.received_at > $2 \
                   and exists (select 1 from message m join line l on l.account_id = m.account_id \
                     where l.webhook_id = e.line and m.provider_sid = e.provider_sid) \
                   order by e.handled_at limit $1";
        let patience = TimeDelta::from_std(patience).ok();
        let since = patience.and_then(|patience| (self.inner.clock)().checked_sub_signed(patience));
        let since = since.unwrap_or(DateTime::UNIX_EPOCH);
        let values = [Value::from(i64::try_from(most).unwrap_or(i64::MAX)), Value::from(since)];
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
        let rows = self.in_time(async { Ok(connection.query_all_raw(statement).await?) }).await?;
        rows.iter().map(|row| Ok(row.try_get("", "raw")?)).collect()
    }
}

fn dead_letter(row: event::Model) -> Result<DeadLetter, Error> {
    Ok(DeadLetter {
        dedupe_id: DedupeId::new(row.dedupe_id)
            .ok_or(Error::Unreadable { table: "event", what: "an unusable id" })?,
        kind: word("event", EventKind::parse, &row.kind)?,
        line: row.line,
        received_at: row.received_at,
        handled_at: row.handled_at,
        reason: row.reason.unwrap_or_default(),
        raw: row.raw.unwrap_or_default(),
    })
}
