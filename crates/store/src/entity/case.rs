//! Cases.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use casewire_domain::case::{Case, CaseStatus};
use casewire_domain::{CaseNumber, Text};

use super::{count, uncount, word};
use crate::error::Error;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "case")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) workspace_id: Uuid,
    pub(crate) number: i32,
    pub(crate) conversation_id: Uuid,
    pub(crate) line_id: Uuid,
    pub(crate) contact_id: Uuid,
    pub(crate) status: String,
    pub(crate) subject: String,
    pub(crate) opened_at: DateTimeUtc,
    pub(crate) updated_at: DateTimeUtc,
    pub(crate) closed_at: Option<DateTimeUtc>,
    pub(crate) unanswered_since: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::contact::Entity",
        from = "Column::ContactId",
        to = "super::contact::Column::Id"
    )]
    Contact,
    #[sea_orm(belongs_to = "super::line::Entity", from = "Column::LineId", to = "super::line::Column::Id")]
    Line,
}

impl ActiveModelBehavior for ActiveModel {}

impl Related<super::contact::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Contact.def()
    }
}

impl Related<super::line::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Line.def()
    }
}

/// The number of a stored case.
pub(crate) fn number(stored: i32) -> Result<CaseNumber, Error> {
    CaseNumber::new(uncount(stored))
        .ok_or(Error::Unreadable { table: "case", what: "a number of more than eight digits" })
}

impl TryFrom<Model> for Case {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id.into(),
            workspace_id: row.workspace_id.into(),
            number: number(row.number)?,
            conversation_id: row.conversation_id.into(),
            line_id: row.line_id.into(),
            contact_id: row.contact_id.into(),
            status: word("case", CaseStatus::parse, &row.status)?,
            subject: Text::new(row.subject),
            opened_at: row.opened_at,
            updated_at: row.updated_at,
            closed_at: row.closed_at,
            unanswered_since: row.unanswered_since,
        })
    }
}

impl From<Case> for ActiveModel {
    fn from(case: Case) -> Self {
        Self {
            id: Set(case.id.0),
            workspace_id: Set(case.workspace_id.0),
            number: Set(count(case.number.value())),
            conversation_id: Set(case.conversation_id.0),
            line_id: Set(case.line_id.0),
            contact_id: Set(case.contact_id.0),
            status: Set(case.status.as_str().to_owned()),
            subject: Set(case.subject.into_revealed()),
            opened_at: Set(case.opened_at),
            updated_at: Set(case.updated_at),
            closed_at: Set(case.closed_at),
            unanswered_since: Set(case.unanswered_since),
        }
    }
}
