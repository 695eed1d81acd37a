//! The statements that touch the file's tables. Times are milliseconds since 1970.

use std::future::ready;
use std::path::Path;

use futures_util::TryStreamExt;
use sqlx::{Executor, Row, SqliteConnection};

use super::request::Publish;
use super::schema::LONG_AGO;
use crate::Backlog;

/// The sequence used last.
pub(super) async fn last_sequence(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let last = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'entry'");
    Ok(last.fetch_optional(connection).await?.unwrap_or(0))
}

/// The ids stored under these sequences after `expired`.
pub(super) async fn ids_of(
    connection: &mut SqliteConnection,
    sequences: &[i64],
    expired: i64,
) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "SELECT id, sequence FROM dedupe
         WHERE sequence IN (SELECT value FROM json_each(?1)) AND stored_at > ?2 ORDER BY sequence",
    )
    .bind(serde_json::to_string(sequences).unwrap_or_default())
    .bind(expired)
    .fetch_all(connection)
    .await
}

/// Tells of the last `most` ids stored under sequences beyond `after`, in their order, those that were stored after
/// `expired`: sequence, id, and when it was stored.
pub(super) async fn read_ids(
    connection: &mut SqliteConnection,
    after: i64,
    expired: i64,
    most: usize,
    mut tell: impl FnMut(i64, &str, i64),
) -> sqlx::Result<()> {
    let mut rows = sqlx::query(
        "SELECT sequence, id, stored_at FROM dedupe
         WHERE stored_at > ?2 AND sequence > coalesce(
             (SELECT sequence FROM dedupe WHERE sequence > ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?3), ?1)
         ORDER BY sequence",
    )
    .bind(after)
    .bind(expired)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        tell(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    Ok(())
}

/// Storing events, and removing ids.
macro_rules! store {
    () => {
        "INSERT INTO entry (sequence, shard, stored_at, visible_at, size)
         SELECT value ->> 0, value ->> 1, ?, ?, value ->> 2 FROM json_each(?);
         INSERT INTO payload (sequence, dedupe_id, bytes)
         SELECT value ->> 0, value ->> 3, substr(?, value ->> 4, value ->> 5) FROM json_each(?);
         INSERT INTO dedupe (sequence, id, stored_at)
         SELECT value ->> 0, value ->> 3, ? FROM json_each(?);
         DELETE FROM dedupe WHERE sequence < ? AND sequence <
             coalesce((SELECT sequence FROM dedupe ORDER BY sequence LIMIT 1 OFFSET ?), ?);"
    };
}

/// What is stored: the transaction under way goes on, or this is all of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Part,
    Whole,
}

impl Extent {
    fn store(self) -> &'static str {
        match self {
            Self::Part => store!(),
            Self::Whole => concat!("BEGIN IMMEDIATE;", store!(), "COMMIT"),
        }
    }

    /// How many statements that is.
    fn statements(self) -> usize {
        match self {
            Self::Part => 4,
            Self::Whole => 6,
        }
    }
}

/// Stores events under new sequences, visible at once, and their ids. Of the ids before `first_known` it removes twice as
/// many as there are events: ids never pile up, and no group is slow. All it writes is at an end of its table, and so on
/// few pages.
///
/// A statement costs more on the way to SQLite's thread than in SQLite, so all of a group go there at once: what is small
/// as a JSON list, the payloads as one blob from which each row cuts its own.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    new: &[(i64, &Publish)],
    now: i64,
    first_known: i64,
    extent: Extent,
) -> sqlx::Result<()> {
    let mut blob = Vec::new();
    let rows: Vec<_> = new
        .iter()
        .map(|(sequence, publish)| {
            let start = blob.len() + 1;
            blob.extend_from_slice(&publish.payload);
            (sequence, publish.shard, publish.size(), &publish.dedupe_id, start, publish.payload.len())
        })
        .collect();
    let rows = serde_json::to_string(&rows).unwrap_or_default();
    let storing = sqlx::query(extent.store())
        // One after the other, statement by statement: numbers would count anew in each.
        .bind(now)
        .bind(LONG_AGO)
        .bind(rows.as_str())
        .bind(blob)
        .bind(rows.as_str())
        .bind(now)
        .bind(rows.as_str())
        .bind(first_known)
        .bind(i64::try_from(new.len()).unwrap_or(i64::MAX).saturating_mul(2))
        .bind(first_known);
    let ended = connection.execute_many(storing).try_fold(0, |ended, _| ready(Ok(ended + 1))).await?;
    // A thread that ends in the middle says nothing, and then the last statement, which commits, was not run.
    if ended == extent.statements() { Ok(()) } else { Err(sqlx::Error::WorkerCrashed) }
}

/// An entry handed out.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) sequence: i64,
    pub(super) attempt: i64,
    pub(super) dedupe_id: String,
    pub(super) payload: Vec<u8>,
}

/// Hands out the first entries of a shard that are visible now, until `until`.
pub(super) async fn lease(
    connection: &mut SqliteConnection,
    shard: u32,
    max: i64,
    now: i64,
    until: i64,
) -> sqlx::Result<Vec<Leased>> {
    let rows = sqlx::query(
        "UPDATE entry SET visible_at = ?1, leased = 1, attempts = attempts + 1
         WHERE sequence IN
             (SELECT sequence FROM entry WHERE shard = ?2 AND visible_at <= ?3 ORDER BY sequence LIMIT ?4)
         RETURNING sequence, attempts,
             (SELECT dedupe_id FROM payload WHERE payload.sequence = entry.sequence),
             (SELECT bytes FROM payload WHERE payload.sequence = entry.sequence)",
    )
    .bind(until)
    .bind(shard)
    .bind(now)
    .bind(max)
    .fetch_all(connection)
    .await?;
    let leased = rows.into_iter().map(|row| {
        Ok(Leased {
            sequence: row.try_get(0)?,
            attempt: row.try_get(1)?,
            dedupe_id: row.try_get(2)?,
            payload: row.try_get(3)?,
        })
    });
    let mut leased: Vec<_> = leased.collect::<sqlx::Result<_>>()?;
    // RETURNING promises no order.
    leased.sort_unstable_by_key(|entry| entry.sequence);
    Ok(leased)
}

/// When the next entry of a shard becomes visible.
pub(super) async fn next_visible(connection: &mut SqliteConnection, shard: u32) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT min(visible_at) FROM entry WHERE shard = ?1")
        .bind(shard)
        .fetch_one(connection)
        .await
}

/// Frees an entry at a later time, if it is still in the hands of this attempt. That it was put off once stays with it.
pub(super) async fn free(
    connection: &mut SqliteConnection,
    sequence: i64,
    attempt: i64,
    at: i64,
    put_off: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE entry SET visible_at = ?1, leased = 0, put_off = max(put_off, ?4) WHERE sequence = ?2 AND attempts = ?3",
    )
    .bind(at)
    .bind(sequence)
    .bind(attempt)
    .bind(put_off)
    .execute(connection)
    .await?;
    Ok(())
}

/// Leaves an entry in the hands of this attempt for longer, if it is still there.
pub(super) async fn hold(
    connection: &mut SqliteConnection,
    sequence: i64,
    attempt: i64,
    until: i64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE entry SET visible_at = ?1 WHERE sequence = ?2 AND attempts = ?3 AND leased = 1")
        .bind(until)
        .bind(sequence)
        .bind(attempt)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes entries, whoever has them now, and tells shard and size of each.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    sequences: &[i64],
) -> sqlx::Result<Vec<(u32, i64)>> {
    sqlx::query_as(
        "DELETE FROM payload WHERE sequence IN (SELECT value FROM json_each(?1));
         DELETE FROM entry WHERE sequence IN (SELECT value FROM json_each(?1)) RETURNING shard, size",
    )
    .bind(serde_json::to_string(sequences).unwrap_or_default())
    .fetch_all(connection)
    .await
}

/// How a shard stands.
pub(super) struct Counted {
    pub(super) backlog: Backlog,
    /// Entries that were put off at least once.
    pub(super) put_off: u64,
    /// When the oldest of the others was stored.
    pub(super) waiting_since: Option<i64>,
}

/// How every shard stands that holds anything.
pub(super) async fn count(connection: &mut SqliteConnection) -> sqlx::Result<Vec<Counted>> {
    let rows = sqlx::query(
        "SELECT shard, sum(attempts = 0), sum(attempts > 0), sum(attempts > 1), count(*), sum(size), min(stored_at),
             sum(put_off), min(stored_at) FILTER (WHERE put_off = 0)
         FROM entry GROUP BY shard",
    )
    .fetch_all(connection)
    .await?;
    let number = |row: &sqlx::sqlite::SqliteRow, index| row.try_get::<i64, _>(index).map(i64::cast_unsigned);
    let counted = rows.iter().map(|row| {
        let backlog = Backlog {
            shard: row.try_get(0)?,
            pending: number(row, 1)?,
            ack_pending: number(row, 2)?,
            redelivered: number(row, 3)?,
            messages: number(row, 4)?,
            bytes: number(row, 5)?,
            limit_bytes: 0,
            oldest_at: chrono::DateTime::from_timestamp_millis(row.try_get(6)?),
        };
        Ok(Counted { backlog, put_off: number(row, 7)?, waiting_since: row.try_get(8)? })
    });
    counted.collect()
}

/// Copies what the file holds into a new one.
pub(super) async fn copy(connection: &mut SqliteConnection, to: &Path) -> sqlx::Result<()> {
    sqlx::query("VACUUM INTO ?1").bind(to.to_string_lossy().into_owned()).execute(connection).await?;
    Ok(())
}
