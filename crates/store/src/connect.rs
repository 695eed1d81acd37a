//! Opening the database: PostgreSQL, or one SQLite file with one writer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, PgConnection};
use tokio::sync::Semaphore;

use crate::error::Error;

/// How the database is reached, and its bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// `postgres://…`, or `sqlite://path`.
    pub url: String,
    /// Connections of this process to PostgreSQL, and readers of SQLite. Sixteen: as many people as may wait for a page
    /// at one moment.
    pub max_connections: u32,
    /// How many of those to PostgreSQL are kept for batches of events ([`Store::handle`](crate::Store::handle)), which then
    /// use no others; at most half, and two are left. Zero: batches use any.
    pub batch_connections: u32,
    /// How long to wait for a connection before the database counts as not available. Three seconds: long
    /// enough for a burst, short enough that a worker notices an outage.
    pub acquire_timeout: Duration,
    /// How long one statement may run. Fifteen seconds: a batch takes milliseconds.
    pub statement_timeout: Duration,
    /// How long a whole transaction may go without its end. Twenty seconds: a server that froze, or a network
    /// that swallows everything, ends no statement; and below the 30 s after which the stream gives a batch to
    /// another worker.
    pub transaction_timeout: Duration,
    /// How long SQLite waits where another program writes to the file. Five seconds: a command's transaction takes
    /// milliseconds.
    pub busy_timeout: Duration,
}

impl Config {
    /// The defaults, for this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            batch_connections: 0,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(15),
            transaction_timeout: Duration::from_secs(20),
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// A SQLite file.
    pub fn sqlite(path: &Path) -> Self {
        Self::new(format!("sqlite:{}?mode=rwc", in_url(path)))
    }
}

/// A path as a URL holds it: a folder's name may have spaces, `%`, `?` and `#`.
fn in_url(path: &Path) -> String {
    // Two slashes at its start would be read as the URL's own.
    let path: PathBuf = path.components().collect();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let letter = |byte: &u8| match plain(byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    path.as_os_str().as_encoded_bytes().iter().map(letter).collect()
}

/// The ways in. For SQLite one connection writes and others read; for PostgreSQL both are one pool, and a few connections
/// may be kept for batches.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    pub(crate) writer: DatabaseConnection,
    pub(crate) reader: DatabaseConnection,
    pub(crate) batches: Option<Batches>,
}

/// Connections that are kept for batches, and as many turns.
#[derive(Clone, Debug)]
pub(crate) struct Batches {
    pub(crate) connections: DatabaseConnection,
    pub(crate) turns: Arc<Semaphore>,
}

impl Connections {
    pub(crate) fn is_postgres(&self) -> bool {
        self.writer.get_database_backend() == DbBackend::Postgres
    }
}

// A connection that comes back to its pool inside a transaction is closed (`after_release`). After a disk was full
// SQLite has rolled back by itself, and the client's own rollback then fails and leaves it counting one transaction
// too many: every later one would be a savepoint within one that is never committed.

/// Opens the database without waiting for it to be up: an operation then says that it is not.
pub(crate) async fn connect(config: &Config) -> Result<Connections, Error> {
    if config.url.starts_with("sqlite:") {
        let writer = Database::connect(sqlite(config, 1, WRITER_CACHE)).await?;
        let reader = Database::connect(sqlite(config, config.max_connections, READER_CACHE)).await?;
        return Ok(Connections { writer, reader, batches: None });
    }
    let kept = kept_for_batches(config);
    let pool = Database::connect(postgres(config, config.max_connections - kept)).await?;
    let batches = match kept {
        0 => None,
        kept => Some(Batches {
            connections: Database::connect(postgres(config, kept)).await?,
            turns: Arc::new(Semaphore::new(kept as usize)),
        }),
    };
    Ok(Connections { writer: pool.clone(), reader: pool, batches })
}

fn kept_for_batches(config: &Config) -> u32 {
    let most = config.max_connections;
    // A migration takes one of the others as its guard, and another to work with.
    config.batch_connections.min(most / 2).min(most.saturating_sub(2))
}

fn bounds(config: &Config, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(config.url.clone());
    options
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .connect_timeout(config.acquire_timeout)
        .connect_lazy(true)
        // Statements hold numbers and texts as parameters: they are never logged.
        .sqlx_logging(false);
    options
}

/// What SQLite's writer keeps of the file in memory, in KiB: the pages of a dozen indexes that texts are entered in at
/// random places. Only what is used is taken.
const WRITER_CACHE: u32 = 64 << 10;
/// The same of each reader, which reads a page of the inbox: SQLite's own default.
const READER_CACHE: u32 = 2 << 10;
/// Pages, of 4 KiB, that are written ahead before they are brought to the file. A page that batch after batch changes is
/// then brought there once: at SQLite's own 1,000 half of all that is written is written twice.
const WRITE_AHEAD: u32 = 8_000;

fn sqlite(config: &Config, connections: u32, cache: u32) -> ConnectOptions {
    let mut options = bounds(config, connections);
    let busy_timeout = config.busy_timeout;
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy_timeout)
            .foreign_keys(true)
            .pragma("cache_size", format!("-{cache}"))
            .pragma("wal_autocheckpoint", WRITE_AHEAD.to_string())
    });
    options.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_release(|connection, _| {
            let sound = !connection.is_in_transaction();
            Box::pin(async move { Ok(sound) })
        })
    });
    options
}

/// A connection that comes from its pool may take this part of the wait for one to show that it is alive. One whose peer
/// died without a word is then replaced within the same wait; else each such connection of a pool would cost a whole one.
const ALIVE_PART: u32 = 2;
/// One that came back to the pool so short a time ago has just shown it, and is not asked again: a fifth of all that a
/// worker sent to the database while it had nothing to do were such questions. Where it died since, what it is used for ends
/// as what was under way then: with an error at once, or once a transaction may take no longer.
const JUST_ALIVE: Duration = Duration::from_secs(1);

fn postgres(config: &Config, connections: u32) -> ConnectOptions {
    let mut options = bounds(config, connections);
    let alive = config.acquire_timeout / ALIVE_PART;
    // By us, with a time limit.
    options.test_before_acquire(false);
    let settings = [
        ("statement_timeout", config.statement_timeout),
        // Sooner, so that a statement that waits for another is told from one that is slow itself.
        ("lock_timeout", config.statement_timeout.mul_f64(0.8)),
        // A process that froze, or that can no longer be reached, must not hold a conversation for ever: by then nobody
        // waits for the end of its transaction, and whoever takes over would wait for its locks.
        ("idle_in_transaction_session_timeout", config.transaction_timeout),
    ]
    .map(|(name, value)| (name, value.as_millis().to_string()));
    options.map_sqlx_postgres_opts(move |postgres| {
        let postgres = postgres.application_name("casewire");
        // Compiling a plan takes longer than any of ours runs.
        let postgres = postgres.options([("jit", "off")]);
        postgres.options(settings.iter().map(|(name, value)| (*name, value)))
    });
    options.map_sqlx_postgres_pool_opts(move |pool| {
        pool.before_acquire(move |connection, pooled| {
            Box::pin(async move {
                if pooled.idle_for >= JUST_ALIVE {
                    answers(connection, alive).await?;
                }
                Ok(true)
            })
        })
        .after_release(move |connection, _| {
            Box::pin(async move {
                // The pool would wait for ever for one that was given up since its server says nothing.
                answers(connection, alive).await?;
                Ok(!connection.is_in_transaction())
            })
        })
    });
    options
}

/// Whether the server answers on this connection in time. An error closes it without a last word, which nobody would hear.
async fn answers(connection: &mut PgConnection, within: Duration) -> Result<(), sqlx::Error> {
    let answered = tokio::time::timeout(within, connection.ping()).await;
    answered.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;

    #[test]
    fn at_most_half_of_the_connections_are_kept_for_batches_and_two_are_left() {
        let kept = [1, 2, 3, 4, 6, 16].map(|max_connections| {
            kept_for_batches(&Config { max_connections, batch_connections: 3, ..Config::new("") })
        });
        assert_eq!(kept, [0, 0, 1, 2, 3, 3]);
    }

    #[tokio::test]
    async fn a_file_in_a_folder_of_any_name_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["my data", "100% #1?", "a:b", "données"] {
            let inside = folder.path().join(name);
            std::fs::create_dir(&inside).unwrap();
            let connections = connect(&Config::sqlite(&inside.join("x.db"))).await.unwrap();
            connections.writer.ping().await.unwrap();
            assert!(inside.join("x.db").exists(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_that_another_program_writes_to_is_waited_for_as_long_as_is_set() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::sqlite(&folder.path().join("x.db"));
        let other = connect(&config).await.unwrap();
        other.writer.execute_unprepared("create table x (y)").await.unwrap();
        other.writer.execute_unprepared("begin immediate").await.unwrap();
        let hasty = Config { busy_timeout: Duration::from_millis(50), ..config };
        let (hasty, begun) = (connect(&hasty).await.unwrap(), std::time::Instant::now());
        let busy = hasty.writer.execute_unprepared("insert into x values (1)").await.unwrap_err();
        assert!(busy.to_string().contains("locked"), "{busy}");
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn a_relative_path_stays_one() {
        assert_eq!(in_url(Path::new("./casewire data/x.db")), "./casewire%20data/x.db");
        assert_eq!(in_url(Path::new("//srv/x.db")), "/srv/x.db");
    }
}
