//! The trail.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;

use casewire_domain::case::TrailEntry;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "case_event")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) case_id: Uuid,
    pub(crate) actor: String,
    pub(crate) kind: String,
    #[sea_orm(column_type = "JsonBinary", select_as = "text")]
    pub(crate) why: String,
    #[sea_orm(column_type = "JsonBinary", select_as = "text")]
    pub(crate) change: String,
    pub(crate) at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(belongs_to = "super::case::Entity", from = "Column::CaseId", to = "super::case::Column::Id")]
    Case,
}

impl ActiveModelBehavior for ActiveModel {}

impl Related<super::case::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Case.def()
    }
}

impl From<TrailEntry> for ActiveModel {
    fn from(entry: TrailEntry) -> Self {
        Self {
            id: NotSet,
            case_id: Set(entry.case_id.0),
            actor: Set(entry.actor),
            kind: Set(entry.kind.as_str().to_owned()),
            why: Set(entry.why.into_text()),
            change: Set(entry.change.into_text()),
            at: Set(entry.at),
        }
    }
}
