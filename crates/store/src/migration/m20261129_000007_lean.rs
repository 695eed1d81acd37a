//! Less to keep up and to read with each text.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000007_lean"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Postgres => super::run(manager, include_str!("m20261129_000007_lean.sql")).await,
            // SQLite drops no constraint without writing the whole table anew.
            _ => super::run(manager, "create index suppression_contact on suppression (contact_id)").await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, "drop index suppression_contact").await?;
        if manager.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let before = r#"create index message_sid on message (provider_sid);
            alter table message
                add constraint message_account_id_provider_sid_key unique (account_id, provider_sid),
                add constraint message_cause_id_key unique (cause_id),
                add constraint message_account_id_fkey foreign key (account_id) references account (id),
                add constraint message_line_id_fkey foreign key (line_id) references line (id),
                add constraint message_contact_id_fkey foreign key (contact_id) references contact (id);
            alter table "case"
                add constraint case_workspace_id_fkey foreign key (workspace_id) references workspace (id),
                add constraint case_line_id_fkey foreign key (line_id) references line (id),
                add constraint case_contact_id_fkey foreign key (contact_id) references contact (id);
            drop index message_provider;
            drop index message_cause;"#;
        super::run(manager, before).await
    }
}
