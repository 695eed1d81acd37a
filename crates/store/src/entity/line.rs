//! Lines.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "line")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) workspace_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) webhook_id: String,
    pub(crate) address: String,
    pub(crate) region: String,
    pub(crate) method: String,
    pub(crate) active: bool,
    pub(crate) on_open: String,
    pub(crate) on_reopen: String,
    pub(crate) on_update: String,
    pub(crate) per_ten_minutes: i32,
    pub(crate) per_day: i32,
    pub(crate) per_second: i32,
    pub(crate) when_uncertain: String,
    pub(crate) created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::account::Entity",
        from = "Column::AccountId",
        to = "super::account::Column::Id"
    )]
    Account,
}

impl ActiveModelBehavior for ActiveModel {}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}
