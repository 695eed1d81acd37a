//! The file: its tables, and the statements that touch them. Times are milliseconds since 1970.

use std::path::Path;

use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::EmbeddedConfig;
use super::writer::Publish;
use crate::Backlog;

/// Number of the tables' shape, kept in the file.
const VERSION: i64 = 1;

/// `entry` is small and often rewritten; what was written once and is large lies apart in `payload`. Sequences are
/// never used again (AUTOINCREMENT), so that a late acknowledgement cannot hit another event.
const SCHEMA: &str = "
    CREATE TABLE entry (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        shard INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        visible_at INTEGER NOT NULL,
        leased INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE payload (
        sequence INTEGER PRIMARY KEY,
        dedupe_id TEXT NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE dedupe (
        id TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        stored_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX dedupe_stored_at ON dedupe (stored_at);
    PRAGMA user_version = 1;
";

/// The file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or another stream in this one. Close that first.
    #[error("the stream's file is in use by another process")]
    InUse,
    /// Another version of casewire wrote it. Final for this one.
    #[error("the stream's file is of version {0}, this casewire reads version {VERSION}")]
    Version(i64),
    /// SQLite cannot read or write it: no such folder, no permission, no space, damaged. A person must act.
    #[error("the stream's file cannot be opened: {0}")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        if code(&error) == Some(SQLITE_BUSY) { Self::InUse } else { Self::Database(error) }
    }
}

const SQLITE_BUSY: i32 = 5;
const SQLITE_FULL: i32 = 13;

/// SQLite's primary result code.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error().and_then(DatabaseError::code)?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether the disk, or the file's own limit, has no more room.
pub(super) fn no_room(error: &sqlx::Error) -> bool {
    code(error) == Some(SQLITE_FULL)
}

pub(super) async fn open(path: &Path, config: &EmbeddedConfig) -> Result<SqliteConnection, OpenError> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(config.lock_timeout)
        // One process, and no shared memory beside the file.
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode anything less loses the last commits with the power.
        .synchronous(SqliteSynchronous::Full)
        // What was acknowledged is overwritten where that costs nothing.
        .pragma("secure_delete", "FAST")
        .disable_statement_logging()
        .connect()
        .await?;
    match version(&mut connection).await? {
        0 => create(&mut connection).await?,
        VERSION => {}
        other => return Err(OpenError::Version(other)),
    }
    release(&mut connection, config.shards.max(1)).await?;
    Ok(connection)
}

async fn version(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await
}

async fn create(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(SCHEMA).execute(&mut *tx).await?;
    tx.commit().await
}

/// Frees what an earlier process had in work, and folds shards that are no more into those that are.
async fn release(connection: &mut SqliteConnection, shards: u32) -> sqlx::Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("UPDATE entry SET visible_at = 0, leased = 0 WHERE leased = 1").execute(&mut *tx).await?;
    sqlx::query("UPDATE entry SET shard = shard % ?1 WHERE shard >= ?1")
        .bind(shards)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// The sequence used last.
pub(super) async fn last_sequence(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let last = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'entry'");
    Ok(last.fetch_optional(connection).await?.unwrap_or(0))
}

/// Remembers a dedupe id; `Err` with the first one's sequence when it is remembered already from after `expired`.
pub(super) async fn remember(
    connection: &mut SqliteConnection,
    id: &str,
    sequence: i64,
    now: i64,
    expired: i64,
) -> sqlx::Result<Result<(), i64>> {
    let inserted = sqlx::query(
        "INSERT INTO dedupe (id, sequence, stored_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, stored_at = excluded.stored_at
         WHERE dedupe.stored_at <= ?4",
    )
    .bind(id)
    .bind(sequence)
    .bind(now)
    .bind(expired)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() > 0 {
        return Ok(Ok(()));
    }
    Ok(Err(remembered(connection, id, expired).await?.unwrap_or_default()))
}

/// The sequence under which an id was stored after `expired`.
pub(super) async fn remembered(
    connection: &mut SqliteConnection,
    id: &str,
    expired: i64,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("SELECT sequence FROM dedupe WHERE id = ?1 AND stored_at > ?2")
        .bind(id)
        .bind(expired)
        .fetch_optional(connection)
        .await
}

/// Forgets at most `limit` ids stored up to `expired`.
pub(super) async fn forget(connection: &mut SqliteConnection, expired: i64, limit: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM dedupe WHERE id IN (SELECT id FROM dedupe WHERE stored_at <= ?1 LIMIT ?2)")
        .bind(expired)
        .bind(limit)
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores an event under a new sequence, visible at once.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    sequence: i64,
    publish: &Publish,
    now: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO entry (sequence, shard, stored_at, visible_at, size) VALUES (?1, ?2, ?3, 0, ?4)",
    )
    .bind(sequence)
    .bind(publish.shard)
    .bind(now)
    .bind(publish.size().cast_signed())
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO payload (sequence, dedupe_id, bytes) VALUES (?1, ?2, ?3)")
        .bind(sequence)
        .bind(publish.dedupe_id.as_str())
        .bind(publish.payload.as_slice())
        .execute(connection)
        .await?;
    Ok(())
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

/// Puts an entry off, if it is still in the hands of this attempt.
pub(super) async fn put_off(
    connection: &mut SqliteConnection,
    sequence: i64,
    attempt: i64,
    until: i64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE entry SET visible_at = ?1, leased = 0 WHERE sequence = ?2 AND attempts = ?3")
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
    let list = serde_json::to_string(sequences).unwrap_or_default();
    sqlx::query("DELETE FROM payload WHERE sequence IN (SELECT value FROM json_each(?1))")
        .bind(list.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query_as(
        "DELETE FROM entry WHERE sequence IN (SELECT value FROM json_each(?1)) RETURNING shard, size",
    )
    .bind(list)
    .fetch_all(connection)
    .await
}

/// How every shard stands that holds anything.
pub(super) async fn count(connection: &mut SqliteConnection) -> sqlx::Result<Vec<Backlog>> {
    let rows = sqlx::query(
        "SELECT shard, sum(attempts = 0), sum(attempts > 0), sum(attempts > 1), count(*), sum(size), min(stored_at)
         FROM entry GROUP BY shard",
    )
    .fetch_all(connection)
    .await?;
    let number = |row: &sqlx::sqlite::SqliteRow, index| row.try_get::<i64, _>(index).map(i64::cast_unsigned);
    let backlog = rows.iter().map(|row| {
        Ok(Backlog {
            shard: row.try_get(0)?,
            pending: number(row, 1)?,
            ack_pending: number(row, 2)?,
            redelivered: number(row, 3)?,
            messages: number(row, 4)?,
            bytes: number(row, 5)?,
            limit_bytes: 0,
            oldest_at: chrono::DateTime::from_timestamp_millis(row.try_get(6)?),
        })
    });
    backlog.collect()
}
