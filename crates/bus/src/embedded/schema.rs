//! The file itself: its tables, and how it is opened.

use std::path::Path;

use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::EmbeddedConfig;

/// Number of the tables' shape, kept in the file. A file of version 1 is upgraded when it is opened. A casewire that knows
/// only that one refuses the file from then on: it would look ids up by a key that is no more.
const VERSION: i64 = 2;

/// `entry` is small and often rewritten; what was written once and is large lies apart in `payload`. Sequences are
/// never used again (AUTOINCREMENT), so that a late acknowledgement cannot hit another event. `dedupe` has no index on the
/// ids: they are random, and each would be a page to write (see `KnownIds`).
const SCHEMA: &str = "
    CREATE TABLE entry (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        shard INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        visible_at INTEGER NOT NULL,
        leased INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL,
        put_off INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE payload (
        sequence INTEGER PRIMARY KEY,
        dedupe_id TEXT NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE dedupe (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        stored_at INTEGER NOT NULL
    ) STRICT;
    PRAGMA user_version = 2;
";

/// From version 1, where `dedupe` was keyed by id. Nothing kept two ids from one sequence then; the later one has it.
const UPGRADE: &str = "
    ALTER TABLE dedupe RENAME TO dedupe_by_id;
    CREATE TABLE dedupe (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        stored_at INTEGER NOT NULL
    ) STRICT;
    INSERT OR REPLACE INTO dedupe (sequence, id, stored_at)
    SELECT sequence, id, stored_at FROM dedupe_by_id ORDER BY sequence, stored_at;
    DROP TABLE dedupe_by_id;
    PRAGMA user_version = 2;
";

/// When an entry becomes visible that is so at once: in 2004, a number that takes as many bytes as any later time.
/// A row that grows needs room, and a full file must still hand out what it holds.
pub(super) const LONG_AGO: i64 = 1_100_000_000_000;

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

/// Opens the file for the one who has it from `now` on.
pub(super) async fn open(
    path: &Path,
    config: &EmbeddedConfig,
    now: i64,
) -> Result<SqliteConnection, OpenError> {
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
        1 => upgrade(&mut connection).await?,
        VERSION => {}
        other => return Err(OpenError::Version(other)),
    }
    release(&mut connection, config.shards.max(1), now).await?;
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

/// Brings a file of version 1 to this one, with all it holds. Its first ones lack `put_off`.
async fn upgrade(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let there = sqlx::query_scalar("SELECT count(*) FROM pragma_table_info('entry') WHERE name = 'put_off'");
    let there: i64 = there.fetch_one(&mut *tx).await?;
    if there == 0 {
        let add = "ALTER TABLE entry ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0";
        sqlx::raw_sql(add).execute(&mut *tx).await?;
    }
    sqlx::raw_sql(UPGRADE).execute(&mut *tx).await?;
    tx.commit().await
}

/// Frees what an earlier process had in work or had put off, and folds shards that are no more into those that are. Until
/// when an entry was put off is a time of that process's clock, which may have been wrong by years. So may be when an id
/// was stored: one of the future is remembered for a window from now, and keeps no other from being forgotten.
async fn release(connection: &mut SqliteConnection, shards: u32, now: i64) -> sqlx::Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("UPDATE entry SET visible_at = ?1, leased = 0 WHERE leased = 1 OR visible_at > ?2")
        .bind(LONG_AGO)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE entry SET shard = shard % ?1 WHERE shard >= ?1")
        .bind(shards)
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE dedupe SET stored_at = ?1 WHERE stored_at > ?1").bind(now).execute(&mut *tx).await?;
    tx.commit().await
}
