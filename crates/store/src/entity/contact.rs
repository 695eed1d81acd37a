//! Contacts.

use sea_orm::entity::prelude::*;

use casewire_domain::contact::Contact;
use casewire_domain::{Address, Text};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contact")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) workspace_id: Uuid,
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Contact {
    fn from(row: Model) -> Self {
        Self {
            id: row.id.into(),
            workspace_id: row.workspace_id.into(),
            address: Address::from_stored(row.address),
            name: Text::new(row.name),
            email: Text::new(row.email),
        }
    }
}
