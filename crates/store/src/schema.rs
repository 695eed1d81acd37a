//! Migrating, and refusing to work on a schema this version does not know.

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, Statement, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use crate::entity::workspace;
use crate::error::Error;
use crate::migration::Migrator;
use crate::{DEFAULT_WORKSPACE, Store};

/// The advisory lock under which one process migrates: `casewire` in ASCII.
const MIGRATION_LOCK: i64 = 0x6361_7365_7769_7265;

/// How often a migration is begun when work under way is in its way: each time another transaction has gone on, and
/// the database takes a second to see that two wait for each other.
const MIGRATION_TRIES: u32 = 30;
/// Pause before it is begun again, in which what was in the way ends.
const MIGRATION_PAUSE: Duration = Duration::from_millis(200);

impl Store {
    /// Brings the schema up to this version; how many migrations were applied. Several processes may try at
    /// once: one migrates, the others wait and find nothing to do.
    pub async fn migrate(&self) -> Result<usize, Error> {
        let db = &self.inner.connections.writer;
        if !self.inner.connections.is_postgres() {
            return self.migrate_alone().await;
        }
        // The lock is held by a transaction of its own for as long as the migrations run.
        let guard = db.begin().await?;
        // However long that is: PostgreSQL would end a transaction that does nothing, and with it the lock.
        guard.execute_unprepared("set local idle_in_transaction_session_timeout = 0").await?;
        let lock = format!("select pg_advisory_xact_lock({MIGRATION_LOCK})");
        guard.execute_raw(Statement::from_string(guard.get_database_backend(), lock)).await?;
        let applied = self.migrate_alone().await?;
        guard.commit().await?;
        Ok(applied)
    }

    /// Migrates while nobody else does.
    async fn migrate_alone(&self) -> Result<usize, Error> {
        refuse_newer(&self.applied().await?)?;
        let db = &self.inner.connections.writer;
        let pending = Migrator::get_pending_migrations(db).await?.len();
        let mut tries = 1;
        // What is under way while roles are at work may lock tables in another order than a migration does. Nothing of
        // a migration that loses is left, so it begins again.
        while let Err(error) = Migrator::up(db, None).await {
            let error = Error::from(error);
            if !matches!(error, Error::Conflict(_)) || tries >= MIGRATION_TRIES {
                return Err(error);
            }
            tracing::warn!(event = "migration_again", tries, %error, "a migration met work under way and begins again");
            tries += 1;
            tokio::time::sleep(MIGRATION_PAUSE).await;
        }
        self.first_workspace().await?;
        Ok(pending)
    }

    async fn first_workspace(&self) -> Result<(), Error> {
        let row = workspace::ActiveModel {
            id: Set(DEFAULT_WORKSPACE.0),
            name: Set("default".to_owned()),
            created_at: Set((self.inner.clock)()),
        };
        workspace::Entity::insert(row)
            .on_conflict(OnConflict::column(workspace::Column::Id).do_nothing().to_owned())
            .exec_without_returning(&self.inner.connections.writer)
            .await?;
        Ok(())
    }

    /// Whether the schema is this version's; an error says what to do where it is not.
    pub async fn check_schema(&self) -> Result<(), Error> {
        let applied = self.applied().await?;
        refuse_newer(&applied)?;
        match known().len() - applied.len() {
            0 => Ok(()),
            missing => Err(Error::Schema(format!(
                "the database lacks {missing} of {} migrations: run `casewire migrate`, or `casewire up` where the \
                 database is in its own folder",
                known().len()
            ))),
        }
    }

    /// The migrations this database has had; none where it is empty. It only reads: the migrator's own look would
    /// create its table, which a role must not do and two at once cannot.
    async fn applied(&self) -> Result<Vec<String>, Error> {
        let reader = &self.inner.connections.reader;
        let versions =
            Statement::from_string(reader.get_database_backend(), "select version from seaql_migrations");
        match reader.query_all_raw(versions).await.map_err(Error::from) {
            Ok(rows) => rows.iter().map(|row| Ok(row.try_get("", "version")?)).collect(),
            Err(Error::Schema(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn known() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// A migration that this version does not know was made by a later one.
fn refuse_newer(applied: &[String]) -> Result<(), Error> {
    let known = known();
    if applied.iter().all(|version| known.contains(version)) {
        return Ok(());
    }
    Err(Error::Schema(
        "the database was migrated by a newer version of casewire: use that version".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use casewire_testkit::{Postgres, eventually};

    use super::*;
    use crate::Config;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_migration_that_waits_for_work_which_waits_for_it_begins_again() {
        let server = Postgres::shared().await.unwrap();
        let store = Store::open(&Config::new(server.database().await.unwrap())).await.unwrap();
        let db = &store.inner.connections.writer;
        Migrator::up(db, Some(1)).await.unwrap();
        // The migration takes `outbox` first and then `line`; work under way does it the other way round.
        let work = db.begin().await.unwrap();
        work.execute_unprepared("select * from line").await.unwrap();
        let migrating = tokio::spawn({
            let store = store.clone();
            async move { store.migrate().await }
        });
        let waits = "select 1 from pg_locks where not granted and relation = 'line'::regclass";
        let waits = Statement::from_string(db.get_database_backend(), waits);
        let waiting = async || matches!(db.query_one_raw(waits.clone()).await, Ok(Some(_)));
        eventually("the migration waits", Duration::from_secs(20), waiting).await.unwrap();
        // Who waited first finds out first, a second later, and gives way.
        work.execute_unprepared("select * from outbox").await.unwrap();
        work.commit().await.unwrap();
        assert!(migrating.await.unwrap().unwrap() > 0);
        store.check_schema().await.unwrap();
    }
}
