//! Indexes for looking up many contacts, and the next texts to send.

use sea_orm_migration::prelude::*;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261128_000006_lookups"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, include_str!("m20261128_000006_lookups.sql")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let before = "drop index contact_address;
            drop index outbox_due;
            create index outbox_due on outbox (line_id, due_at) where state = 'pending';";
        super::run(manager, before).await
    }
}
