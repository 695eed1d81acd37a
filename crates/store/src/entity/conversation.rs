//! Conversations.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use casewire_domain::Text;
use casewire_domain::case::Conversation;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) line_id: Uuid,
    pub(crate) key: String,
    pub(crate) contact_id: Uuid,
    pub(crate) current_case_id: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Conversation {
    fn from(row: Model) -> Self {
        Self {
            id: row.id.into(),
            line_id: row.line_id.into(),
            key: Text::new(row.key),
            contact_id: row.contact_id.into(),
            current_case_id: row.current_case_id.map(Into::into),
        }
    }
}

impl From<Conversation> for ActiveModel {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: Set(conversation.id.0),
            line_id: Set(conversation.line_id.0),
            key: Set(conversation.key.into_revealed()),
            contact_id: Set(conversation.contact_id.0),
            current_case_id: Set(conversation.current_case_id.map(|case| case.0)),
        }
    }
}
