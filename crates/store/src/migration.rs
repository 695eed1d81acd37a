//! The schema's history. Files are dated and never change once released; none of them knows the live
//! entities, so that later edits cannot rewrite history.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

mod m20261120_000001_first;
mod m20261120_000002_settling;
mod m20261120_000003_sweeping;
mod m20261128_000004_traces;
mod m20261128_000005_restoring;
mod m20261128_000006_lookups;
mod m20261129_000007_lean;
mod m20261129_000008_unanswered;
mod m20261130_000009_lanes;

/// All migrations, oldest first.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261120_000001_first::Migration),
            Box::new(m20261120_000002_settling::Migration),
            Box::new(m20261120_000003_sweeping::Migration),
            Box::new(m20261128_000004_traces::Migration),
            Box::new(m20261128_000005_restoring::Migration),
            Box::new(m20261128_000006_lookups::Migration),
            Box::new(m20261129_000007_lean::Migration),
            Box::new(m20261129_000008_unanswered::Migration),
            Box::new(m20261130_000009_lanes::Migration),
        ]
    }
}

/// Runs the statements of one migration. The one place where the backends differ is in how they call their
/// column types, written here in braces.
async fn run(manager: &SchemaManager<'_>, statements: &str) -> Result<(), DbErr> {
    let postgres = manager.get_database_backend() == DbBackend::Postgres;
    let types = [
        ("{uuid}", "uuid", "blob"),
        ("{time}", "timestamptz", "text"),
        ("{json}", "jsonb", "text"),
        ("{bytes}", "bytea", "blob"),
        ("{serial}", "bigint generated always as identity primary key", "integer primary key autoincrement"),
    ];
    let sql = types.iter().fold(statements.to_owned(), |sql, (name, on_postgres, on_sqlite)| {
        sql.replace(name, if postgres { on_postgres } else { on_sqlite })
    });
    if postgres {
        // As long as it takes: the limit is for what roles ask, and an index of millions of rows takes minutes.
        manager.get_connection().execute_unprepared("set local statement_timeout = 0").await?;
    }
    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
