//! What is seen of the connections, and of what goes over them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use casewire_domain::command::Command;
use sea_orm::{ConnAcquireErr, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use tokio::sync::SemaphorePermit;

use crate::connect::Connections;
use crate::error::Error;
use crate::transaction::immediate;
use crate::{Inner, Store};

/// How the connections of this process stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Those in use.
    pub used: u64,
    /// Those that are open and not in use.
    pub idle: u64,
    /// How many there may be.
    pub most: u64,
    /// Transactions that wait for one.
    pub waiting: u64,
    /// Transactions that did not get one in time, since the process began.
    pub timeouts: u64,
}

/// Transactions on their way to a connection.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: AtomicU64,
    timeouts: AtomicU64,
}

/// One of them. It waits until this is dropped.
struct Waiting<'a>(&'a Queue);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a transaction is for, by which it gets its connection. PostgreSQL's process behind each one keeps plans and what it
/// knows of tables, and maps the server's memory as it touches it; a pool hands out the one that was idle longest, so that
/// each is used. The fewer of them batches go through, the warmer they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// A batch of the stream's events.
    Batch,
    /// Anything else, such as a reply or what came of a send: it never waits behind batches that wait for locks.
    Other,
}

impl Purpose {
    pub(crate) fn of(commands: &[Command]) -> Self {
        match commands.iter().any(|command| command.event().is_some()) {
            true => Self::Batch,
            false => Self::Other,
        }
    }
}

impl Store {
    /// Waits until it is the turn of what has this purpose; the turn ends when it is dropped. Only batches take turns, where
    /// connections are kept for them. Their time begins with their turn, and others that are slow do not look like a
    /// database that is away, as they would to one that waits for its connection.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it does not come for as long as a transaction may take.
    pub(crate) async fn turn(&self, purpose: Purpose) -> Result<Option<SemaphorePermit<'_>>, Error> {
        match (purpose, &self.inner.connections.batches) {
            // Nobody ends the turns.
            (Purpose::Batch, Some(batches)) => {
                self.in_time(async { Ok(batches.turns.acquire().await.ok()) }).await
            }
            _ => Ok(None),
        }
    }
}

impl Inner {
    /// Begins a transaction, once there is a connection for it.
    pub(crate) async fn begin(&self, purpose: Purpose) -> Result<DatabaseTransaction, DbErr> {
        self.queue.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.queue);
        let begun = self.connections.of(purpose).begin_with_options(immediate()).await;
        if matches!(begun, Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))) {
            self.queue.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        begun
    }
}

impl Store {
    /// The database's name among those of OpenTelemetry.
    pub fn system(&self) -> &'static str {
        if self.inner.connections.is_postgres() { "postgresql" } else { "sqlite" }
    }

    /// How the connections stand now.
    pub fn pool(&self) -> Pool {
        let (open, idle, most) = self.inner.connections.count();
        Pool {
            used: open.saturating_sub(idle),
            idle,
            most,
            waiting: self.inner.queue.waiting.load(Ordering::Relaxed),
            timeouts: self.inner.queue.timeouts.load(Ordering::Relaxed),
        }
    }
}

impl Connections {
    fn of(&self, purpose: Purpose) -> &DatabaseConnection {
        match (purpose, &self.batches) {
            (Purpose::Batch, Some(batches)) => &batches.connections,
            _ => &self.writer,
        }
    }

    /// Connections that are open, those of them that are idle, and those that there may be.
    fn count(&self) -> (u64, u64, u64) {
        let of_postgres = |one: &DatabaseConnection| counted(one.get_postgres_connection_pool());
        let of_sqlite = |one: &DatabaseConnection| counted(one.get_sqlite_connection_pool());
        let (a, b) = match &self.batches {
            Some(batches) => (of_postgres(&self.writer), of_postgres(&batches.connections)),
            None if self.is_postgres() => (of_postgres(&self.writer), (0, 0, 0)),
            // A reader more is open beside the one writer.
            None => (of_sqlite(&self.writer), of_sqlite(&self.reader)),
        };
        (a.0 + b.0, a.1 + b.1, a.2 + b.2)
    }

    /// Tells `watch` of each statement, by its verb, and how long it took.
    pub(crate) fn watched(
        mut self,
        watch: impl Fn(&'static str, Duration) + Clone + Send + Sync + 'static,
    ) -> Self {
        let batches = self.batches.as_mut().map(|batches| &mut batches.connections);
        for connection in [&mut self.writer, &mut self.reader].into_iter().chain(batches) {
            let watch = watch.clone();
            connection.set_metric_callback(move |info| watch(verb(&info.statement.sql), info.elapsed));
        }
        self
    }
}

fn counted<DB: sqlx::Database>(pool: &sqlx::Pool<DB>) -> (u64, u64, u64) {
    let most = pool.options().get_max_connections();
    (pool.size().into(), pool.num_idle() as u64, most.into())
}

/// What a statement does, as the one word of it that metrics may hold.
fn verb(sql: &str) -> &'static str {
    let first = sql.split_whitespace().next().unwrap_or_default();
    let known = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    known.into_iter().find(|verb| first.eq_ignore_ascii_case(verb)).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn of_a_statement_one_known_word_is_told() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT"),
            ("\n  insert into message values ('my heater')", "INSERT"),
            ("with x as (select 1) select * from x", "other"),
            ("", "other"),
        ] {
            assert_eq!(verb(sql), expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_connection_is_counted_and_who_waited_in_vain_too() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut config = Config::sqlite(&folder.path().join("casewire.db"));
        config.acquire_timeout = Duration::from_millis(50);
        let store = Store::open(&config).await.unwrap();
        store.migrate().await.unwrap();
        let held = store.inner.begin(Purpose::Other).await.unwrap();
        assert_eq!((store.pool().used, store.pool().waiting), (1, 0));
        let other = {
            let store = store.clone();
            tokio::spawn(async move { store.inner.begin(Purpose::Other).await.map(drop) })
        };
        casewire_testkit::eventually("it waits", Duration::from_secs(10), async || store.pool().waiting == 1)
            .await
            .unwrap();
        assert!(other.await.unwrap().is_err());
        assert_eq!((store.pool().waiting, store.pool().timeouts), (0, 1));
        drop(held);
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_in_time_is_held_against_no_batch_and_the_next_one_comes() {
        let server = casewire_testkit::Postgres::shared().await.unwrap();
        let mut config = Config::new(server.database().await.unwrap());
        (config.max_connections, config.batch_connections) = (3, 1);
        config.transaction_timeout = Duration::from_millis(100);
        let store = Store::open(&config).await.unwrap();
        let held = store.turn(Purpose::Batch).await.unwrap();
        let late = store.turn(Purpose::Batch).await.err().unwrap();
        assert!(late.is_retryable() && !late.blames_input(), "{late}");
        assert!(store.turn(Purpose::Other).await.unwrap().is_none(), "nothing else takes turns");
        drop(held);
        assert!(store.turn(Purpose::Batch).await.unwrap().is_some());
    }
}
