//! Transactions: always in a task of their own, so that a caller that goes away never leaves one half done.
//! (A cancelled `begin` can hand a connection that sits in a transaction to its next borrower; sqlx#4385.)

use std::future::Future;
use std::pin::Pin;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbErr, SqliteTransactionMode, Statement, TransactionOptions,
};

use crate::connections::Purpose;
use crate::error::Error;
use crate::{Inner, Store};

/// A probe may take this part of a transaction's time: what is slower than that makes everything slow.
const PROBE_PART: u32 = 10;

/// What runs inside a transaction.
pub(crate) type Work<'t, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 't>>;

/// A transaction, and the time it began.
pub(crate) struct Tx {
    pub(crate) connection: DatabaseTransaction,
    pub(crate) at: DateTime<Utc>,
}

impl Store {
    /// Runs `work` in one transaction and commits it; any error rolls it back. One that takes too long counts
    /// as unavailable, though it may yet be committed: a server that froze never says no. Its connection is given up,
    /// so that others take its place.
    pub(crate) async fn in_tx<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t Tx, &'t Inner) -> Work<'t, T> + Send + 'static,
    {
        self.in_tx_for(Purpose::Other, work).await
    }

    /// As [`Store::in_tx`], over a connection for this purpose.
    pub(crate) async fn in_tx_for<T, F>(&self, purpose: Purpose, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t Tx, &'t Inner) -> Work<'t, T> + Send + 'static,
    {
        let inner = self.inner.clone();
        let task = tokio::spawn(async move {
            // It may end a `begin`, too, after which the next transaction of the connection begins within that one. Their
            // commit is one, and whoever only reads there loses it to `idle_in_transaction_session_timeout`.
            let ended =
                tokio::time::timeout(inner.transaction_timeout, inner.transaction(purpose, work)).await;
            ended.unwrap_or_else(|_| Err(late()))
        });
        task.await.map_err(|ended| if ended.is_panic() { Error::Panicked } else { Error::Interrupted })?
    }

    /// Whether the database is well: a write that changes nothing and is committed like any other, within a tenth of
    /// the time a transaction may take. It takes a hundredth of that while nothing is the matter.
    pub async fn probe(&self) -> Result<(), Error> {
        let write = self.in_tx(|tx, _| {
            Box::pin(async move {
                let same = "update installation set next_case_number = next_case_number where id = 1";
                tx.connection.execute_unprepared(same).await?;
                Ok(())
            })
        });
        let most = self.inner.transaction_timeout / PROBE_PART;
        tokio::time::timeout(most, write).await.unwrap_or_else(|_| Err(late()))
    }

    /// What a reading outside transactions comes to, which takes no longer than a transaction may: a server that froze
    /// never says no, and whoever waits for it would wait for ever.
    pub(crate) async fn in_time<T>(&self, read: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout(self.inner.transaction_timeout, read).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Store {
    /// When it is by the database's own clock; `None` for SQLite, which has none.
    pub async fn server_time(&self) -> Result<Option<DateTime<Utc>>, Error> {
        if !self.inner.connections.is_postgres() {
            return Ok(None);
        }
        self.in_tx(|tx, _| Box::pin(async { Ok(Some(tx.at)) })).await
    }
}

fn late() -> Error {
    Error::Unavailable(DbErr::Custom("it did not answer in time".to_owned()))
}

/// The planner may not read whole tables. Plans are kept, often from when a table was small: one that reads all of it would
/// stay in use while the table grows, until somebody analyzes it. Nothing we do in a transaction needs a whole table.
///
/// And it plans for any values, once. Left to itself it plans anew for each of the first five of a statement on each
/// connection, and a batch's values are hundreds: with many workers, and a connection seldom used, that is most it does
/// with a statement. What a plan depends on, as the conditions of indexes of some rows, is therefore never a value.
const SETTLE_IN: &str = "select clock_timestamp() as at, set_config('enable_seqscan', 'off', true), \
    set_config('plan_cache_mode', 'force_generic_plan', true)";

impl Inner {
    async fn transaction<T, F>(&self, purpose: Purpose, work: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t Tx, &'t Inner) -> Work<'t, T>,
    {
        let connection = self.begin(purpose).await?;
        let at = self.settle_in(&connection).await?;
        let tx = Tx { connection, at };
        match work(&tx, self).await {
            Ok(value) => tx.connection.commit().await.map(|()| value).map_err(Error::from),
            Err(error) => {
                // A rollback that fails leaves a connection that its pool closes: see `connect`.
                let _ = tx.connection.rollback().await;
                Err(error)
            }
        }
    }

    /// Prepares a transaction that has just begun; the time then.
    async fn settle_in(&self, connection: &DatabaseTransaction) -> Result<DateTime<Utc>, Error> {
        self.time(connection, SETTLE_IN).await
    }

    /// The time, to the microsecond both databases keep: PostgreSQL's own, so that leases of many machines
    /// agree; this process's beside SQLite, which serves one.
    pub(crate) async fn now(&self, connection: &DatabaseTransaction) -> Result<DateTime<Utc>, Error> {
        self.time(connection, "select clock_timestamp() as at").await
    }

    async fn time(&self, connection: &DatabaseTransaction, query: &str) -> Result<DateTime<Utc>, Error> {
        if !self.connections.is_postgres() {
            let now = (self.clock)();
            return Ok(now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now));
        }
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let row = connection.query_one_raw(statement).await?;
        let row = row.ok_or(Error::Unreadable { table: "clock_timestamp()", what: "no row" })?;
        Ok(row.try_get("", "at")?)
    }
}

/// SQLite: take the write lock at once. A transaction that reads first and then writes would be refused
/// whatever the busy time-out, because another may have written between.
pub(crate) fn immediate() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::TransactionTrait;

    use super::*;
    use crate::{Config, TokenKind};

    async fn rolled_back(tx: &Tx) -> Result<(), Error> {
        tx.connection.execute_unprepared("rollback").await?;
        Err(Error::Interrupted)
    }

    async fn empty() -> (tempfile::TempDir, Config, Store) {
        let folder = tempfile::TempDir::new().unwrap();
        let config = Config::sqlite(&folder.path().join("casewire.db"));
        let store = Store::open(&config).await.unwrap();
        store.migrate().await.unwrap();
        (folder, config, store)
    }

    async fn panics(tx: &Tx) -> Result<(), Error> {
        tx.connection.execute_unprepared("update installation set next_case_number = 1").await?;
        panic!("a rule that met what it did not expect")
    }

    #[tokio::test]
    async fn a_panic_is_held_against_what_was_handed_in_and_leaves_nothing_behind() {
        let (_folder, _, store) = empty().await;
        let before = store.case_numbers(1).await.unwrap();
        let panicked = store.in_tx(|tx, _| Box::pin(panics(tx))).await.unwrap_err();
        assert!(matches!(panicked, Error::Panicked) && panicked.blames_input(), "{panicked}");
        assert!(store.case_numbers(200).await.unwrap() > before, "it was rolled back and the next one works");
    }

    #[tokio::test]
    async fn a_reading_that_never_ends_is_given_up() {
        let (_folder, config, _) = empty().await;
        let timeout = std::time::Duration::from_millis(20);
        let hasty = Store::open(&Config { transaction_timeout: timeout, ..config }).await.unwrap();
        let late: Result<(), Error> = hasty.in_time(std::future::pending()).await;
        assert!(late.is_err_and(|late| late.is_retryable() && !late.blames_input()));
    }

    #[tokio::test]
    async fn a_probe_tells_a_database_that_writes_from_one_that_is_held_up() {
        let (_folder, config, store) = empty().await;
        store.probe().await.unwrap();
        let timeout = std::time::Duration::from_millis(500);
        let hasty = Store::open(&Config { transaction_timeout: timeout, ..config }).await.unwrap();
        let holder = store.inner.connections.writer.begin_with_options(immediate()).await.unwrap();
        assert!(hasty.probe().await.is_err_and(|error| error.is_retryable() && !error.blames_input()));
        holder.rollback().await.unwrap();
        hasty.probe().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_after_the_database_rolled_back_by_itself_is_seen_by_others() {
        let (_folder, config, store) = empty().await;
        // What SQLite does on a full disk: its transaction is gone, and the client does not know. The next failure
        // is an ordinary one.
        let gone = store.in_tx(|tx, _| Box::pin(rolled_back(tx))).await;
        let failed: Result<(), Error> = store.in_tx(|_, _| Box::pin(async { Err(Error::Interrupted) })).await;
        assert!(gone.is_err() && failed.is_err());
        store.add_token(TokenKind::Api, "after".into(), "secret", None).await.unwrap();
        let other = Store::open(&config).await.unwrap();
        let found = other.caller(TokenKind::Api, "secret").await.unwrap();
        assert_eq!(found.map(|caller| caller.name).as_deref(), Some("after"));
    }
}
