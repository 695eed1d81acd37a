//! Who must not be texted on a line, and who may be again.

use casewire_domain::suppression::{Suppression, SuppressionSource};
use sea_orm::entity::prelude::*;

use super::word;
use crate::error::Error;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "suppression")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) line_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) contact_id: Uuid,
    pub(crate) active: bool,
    pub(crate) source: String,
    pub(crate) received_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Suppression {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        Ok(Self {
            active: row.active,
            source: word("suppression", SuppressionSource::parse, &row.source)?,
            received_at: row.received_at,
        })
    }
}
