//! What the sweepers ask: which events were never handled, whose turn it is, and how far a stream is verified.

use std::collections::HashSet;
use std::time::Duration;

use casewire_domain::DedupeId;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    Statement, Value,
};
use uuid::Uuid;

use crate::Store;
use crate::bulk::among;
use crate::entity::{event, stream_mark};
use crate::error::Error;
use crate::reconciliation::ask_for_loss;
use crate::transaction::Tx;

/// How far one life of a stream was compared with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamMark {
    /// Every event up to and with this place has its row.
    pub verified: u64,
    /// What the stream's consumer had settled by then.
    pub settled: u64,
    /// When that was, by the database's clock.
    pub swept_at: DateTime<Utc>,
}

/// The job of comparing the provider's lists, which one worker at a time has.
pub const COMPARING: &str = "sweep provider";

#[derive(FromQueryResult)]
struct Lease {
    until: DateTime<Utc>,
}

impl Store {
    /// Which of these events have no row: nobody has handled them, or set them aside.
    pub async fn missing_events(&self, ids: &[DedupeId]) -> Result<Vec<DedupeId>, Error> {
        let found = event::Entity::find()
            .select_only()
            .column(event::Column::DedupeId)
            .filter(among(
                &self.inner.connections.reader,
                event::Column::DedupeId,
                ids.iter().map(DedupeId::as_str),
            ))
            .into_tuple()
            .all(&self.inner.connections.reader);
        let found: Vec<String> = self.in_time(async { Ok(found.await?) }).await?;
        let found: HashSet<_> = found.iter().map(String::as_str).collect();
        Ok(ids.iter().filter(|id| !found.contains(id.as_str())).cloned().collect())
    }

    /// Takes a job for so long, or keeps it for so much longer; whether it is `holder`'s now. A holder that dies
    /// loses it by itself, by the database's clock.
    pub async fn take_lease(&self, name: &str, holder: Uuid, length: Duration) -> Result<bool, Error> {
        let name = name.to_owned();
        let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::minutes(1));
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let sql = "insert into lease (name, holder, until) values ($1, $2, $3) \
                           on conflict (name) do update set holder = excluded.holder, until = excluded.until \
                           where lease.holder = excluded.holder or lease.until <= $4";
                let values = [name.into(), holder.into(), (tx.at + length).into(), tx.at.into()];
                Ok(execute(tx, sql, values).await? > 0)
            })
        })
        .await
    }

    /// Lets go of a job that is `holder`'s.
    pub async fn end_lease(&self, name: &str, holder: Uuid) -> Result<(), Error> {
        let name = name.to_owned();
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let sql = "delete from lease where name = $1 and holder = $2";
                execute(tx, sql, [name.into(), holder.into()]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Until when a job is somebody's, by the database's clock: a time that is over where its holder died, and nothing
    /// where nobody has it.
    pub async fn lease_until(&self, name: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let reader = &self.inner.connections.reader;
        let sql = "select until from lease where name = $1";
        let statement = Statement::from_sql_and_values(reader.get_database_backend(), sql, [name.into()]);
        let found = async { Ok(Lease::find_by_statement(statement).one(reader).await?) };
        Ok(self.in_time(found).await?.map(|lease| lease.until))
    }

    /// How far this life of a stream is verified; `None` when nobody has looked yet.
    pub async fn stream_mark(&self, stream: &str, life: &str) -> Result<Option<StreamMark>, Error> {
        let found = stream_mark::Entity::find_by_id((stream.to_owned(), life.to_owned()))
            .one(&self.inner.connections.reader);
        let row = self.in_time(async { Ok(found.await?) }).await?;
        Ok(row.map(|row| StreamMark {
            verified: row.verified.cast_unsigned(),
            settled: row.settled.cast_unsigned(),
            swept_at: row.swept_at,
        }))
    }

    /// Writes down how far a life of a stream is verified. Its earlier lives are forgotten, they do not come back;
    /// whether there was one. If so, [`Store::open_losses`] knows of it from the same moment on.
    pub async fn put_stream_mark(
        &self,
        stream: &str,
        life: &str,
        verified: u64,
        settled: u64,
    ) -> Result<bool, Error> {
        let (stream, life) = (stream.to_owned(), life.to_owned());
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                let earlier = stream_mark::Entity::delete_many()
                    .filter(stream_mark::Column::Stream.eq(&stream))
                    .filter(stream_mark::Column::Life.ne(&life))
                    .exec(&tx.connection)
                    .await?;
                let lost = earlier.rows_affected > 0;
                if lost {
                    ask_for_loss(tx, inner, &stream).await?;
                }
                let row = stream_mark::ActiveModel {
                    stream: Set(stream),
                    life: Set(life),
                    verified: Set(verified.cast_signed()),
                    settled: Set(settled.cast_signed()),
                    swept_at: Set(tx.at),
                };
                let key = [stream_mark::Column::Stream, stream_mark::Column::Life];
                let values = [
                    stream_mark::Column::Verified,
                    stream_mark::Column::Settled,
                    stream_mark::Column::SweptAt,
                ];
                stream_mark::Entity::insert(row)
                    .on_conflict(OnConflict::columns(key).update_columns(values).to_owned())
                    .exec_without_returning(&tx.connection)
                    .await?;
                Ok(lost)
            })
        })
        .await
    }
}

/// Runs a statement; how many rows it touched.
async fn execute<const N: usize>(tx: &Tx, sql: &str, values: [Value; N]) -> Result<u64, Error> {
    let statement = Statement::from_sql_and_values(tx.connection.get_database_backend(), sql, values);
    Ok(tx.connection.execute_raw(statement).await?.rows_affected())
}
