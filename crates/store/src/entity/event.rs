//! Events: the proof that each was handled.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use casewire_domain::state::EventRow;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) dedupe_id: String,
    pub(crate) kind: String,
    pub(crate) line: String,
    pub(crate) received_at: DateTimeUtc,
    pub(crate) handled_at: DateTimeUtc,
    pub(crate) outcome: String,
    pub(crate) reason: Option<String>,
    pub(crate) provider_sid: Option<String>,
    pub(crate) raw: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<EventRow> for ActiveModel {
    fn from(row: EventRow) -> Self {
        Self {
            dedupe_id: Set(row.facts.dedupe_id.as_str().to_owned()),
            kind: Set(row.facts.kind.as_str().to_owned()),
            line: Set(row.facts.line.clone()),
            received_at: Set(row.facts.received_at),
            handled_at: Set(row.handled_at),
            outcome: Set(row.outcome.as_str().to_owned()),
            reason: Set(row.reason),
            provider_sid: Set(row.provider_sid),
            raw: Set(Some(row.facts.raw.clone())),
        }
    }
}
