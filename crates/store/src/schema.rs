//! Migrating, and refusing to work on a schema this version does not know.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, Statement, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use crate::entity::workspace;
use crate::error::Error;
use crate::migration::Migrator;
use crate::{DEFAULT_WORKSPACE, Store};

/// The advisory lock under which one process migrates: `casewire` in ASCII.
const MIGRATION_LOCK: i64 = 0x6361_7365_7769_7265;

impl Store {
    /// Brings the schema up to this version; how many migrations were applied. Several processes may try at
    /// once: one migrates, the others wait and find nothing to do.
    pub async fn migrate(&self) -> Result<usize, Error> {
        let db = &self.inner.connections.writer;
        if !self.inner.connections.is_postgres() {
            let pending = Migrator::get_pending_migrations(db).await?.len();
            Migrator::up(db, None).await?;
            self.first_workspace().await?;
            return Ok(pending);
        }
        // The lock is held by a transaction of its own for as long as the migrations run.
        let guard = db.begin().await?;
        let lock = format!("select pg_advisory_xact_lock({MIGRATION_LOCK})");
        guard.execute_raw(Statement::from_string(guard.get_database_backend(), lock)).await?;
        let pending = Migrator::get_pending_migrations(db).await?.len();
        Migrator::up(db, None).await?;
        self.first_workspace().await?;
        guard.commit().await?;
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
        let db = &self.inner.connections.reader;
        let known: Vec<_> = Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
        let applied: Vec<_> = match Migrator::get_migration_models(db).await {
            Ok(models) => models.into_iter().map(|m| m.version).collect(),
            Err(error) => match Error::from(error) {
                Error::Schema(_) => Vec::new(),
                other => return Err(other),
            },
        };
        if applied.len() > known.len() {
            let sentence = "the database was migrated by a newer version of casewire: use that version";
            return Err(Error::Schema(sentence.to_owned()));
        }
        if applied != known {
            let missing = known.len() - applied.len();
            return Err(Error::Schema(format!(
                "the database lacks {missing} of {} migrations: run `casewire migrate`",
                known.len()
            )));
        }
        Ok(())
    }
}
