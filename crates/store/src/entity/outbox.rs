//! Messages on their way.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use casewire_domain::outbox::{OutboxState, Outgoing, Settling};

use super::{count, uncount, word};
use crate::error::Error;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) message_id: Uuid,
    pub(crate) line_id: Uuid,
    pub(crate) conversation_id: Uuid,
    pub(crate) state: String,
    pub(crate) attempt: i32,
    pub(crate) due_at: DateTimeUtc,
    pub(crate) lease_until: Option<DateTimeUtc>,
    pub(crate) queued_at: DateTimeUtc,
    pub(crate) attempted_at: Option<DateTimeUtc>,
    pub(crate) searched_from: Option<DateTimeUtc>,
    pub(crate) looks: i32,
    pub(crate) look_at: Option<DateTimeUtc>,
    pub(crate) held_at: Option<DateTimeUtc>,
    pub(crate) resends: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Outgoing {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        Ok(Self {
            message_id: row.message_id.into(),
            line_id: row.line_id.into(),
            conversation_id: row.conversation_id.into(),
            state: word("outbox", OutboxState::parse, &row.state)?,
            attempt: uncount(row.attempt),
            due_at: row.due_at,
            lease_until: row.lease_until,
            queued_at: row.queued_at,
            settling: Settling {
                attempted_at: row.attempted_at,
                searched_from: row.searched_from,
                looks: uncount(row.looks),
                look_at: row.look_at,
                held_at: row.held_at,
                resends: uncount(row.resends),
            },
        })
    }
}

impl From<Outgoing> for ActiveModel {
    fn from(outgoing: Outgoing) -> Self {
        let settling = &outgoing.settling;
        Self {
            message_id: Set(outgoing.message_id.0),
            line_id: Set(outgoing.line_id.0),
            conversation_id: Set(outgoing.conversation_id.0),
            state: Set(outgoing.state.as_str().to_owned()),
            attempt: Set(count(outgoing.attempt)),
            due_at: Set(outgoing.due_at),
            lease_until: Set(outgoing.lease_until),
            queued_at: Set(outgoing.queued_at),
            attempted_at: Set(settling.attempted_at),
            searched_from: Set(settling.searched_from),
            looks: Set(count(settling.looks)),
            look_at: Set(settling.look_at),
            held_at: Set(settling.held_at),
            resends: Set(count(settling.resends)),
        }
    }
}
