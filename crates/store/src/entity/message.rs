//! Messages.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use casewire_domain::message::{Direction, Message};
use casewire_domain::{DeliveryStatus, Json, Progress, Text, TraceParent};

use super::{count, json, uncount, word};
use crate::error::Error;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) line_id: Uuid,
    pub(crate) conversation_id: Uuid,
    pub(crate) contact_id: Uuid,
    pub(crate) case_id: Option<Uuid>,
    pub(crate) direction: String,
    pub(crate) provider_sid: Option<String>,
    pub(crate) body: String,
    #[sea_orm(column_type = "JsonBinary", select_as = "text")]
    pub(crate) media: String,
    pub(crate) automatic: bool,
    pub(crate) author: Option<String>,
    pub(crate) cause_id: Option<Uuid>,
    pub(crate) status: String,
    pub(crate) seen: i32,
    pub(crate) error_status: Option<String>,
    pub(crate) error_code: Option<i32>,
    pub(crate) conflict: bool,
    #[sea_orm(column_type = "JsonBinary", select_as = "text")]
    pub(crate) why: String,
    pub(crate) received_at: DateTimeUtc,
    pub(crate) processed_at: DateTimeUtc,
    pub(crate) trace: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::outbox::Entity",
        from = "Column::Id",
        to = "super::outbox::Column::MessageId"
    )]
    Outbox,
}

impl ActiveModelBehavior for ActiveModel {}

impl Related<super::outbox::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Outbox.def()
    }
}

/// The status column of a customer's text, which has no way to go.
const RECEIVED: &str = "received";

/// The direction of a stored message.
pub(crate) fn direction(stored: &str) -> Result<Direction, Error> {
    let parse =
        |name: &str| [Direction::Inbound, Direction::Outbound].into_iter().find(|d| d.as_str() == name);
    word("message", parse, stored)
}

impl TryFrom<Model> for Message {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let error_status = row.error_status.as_deref().and_then(DeliveryStatus::parse);
        let error = error_status.zip(row.error_code.map(uncount));
        Ok(Self {
            id: row.id.into(),
            account_id: row.account_id.into(),
            line_id: row.line_id.into(),
            conversation_id: row.conversation_id.into(),
            contact_id: row.contact_id.into(),
            case_id: row.case_id.map(Into::into),
            direction: direction(&row.direction)?,
            provider_sid: row.provider_sid,
            body: Text::new(row.body),
            media: json("message", serde_json::from_str(&row.media))?,
            automatic: row.automatic,
            author: row.author,
            cause_id: row.cause_id.map(Into::into),
            progress: Progress::from_stored(u8::try_from(row.seen).unwrap_or(0), error),
            why: json("message", serde_json::from_str(&row.why))?,
            received_at: row.received_at,
            processed_at: row.processed_at,
            trace: row.trace.as_deref().and_then(TraceParent::parse),
        })
    }
}

impl From<Message> for ActiveModel {
    fn from(message: Message) -> Self {
        let (seen, error) = message.progress.to_stored();
        let status = match message.direction {
            Direction::Inbound => RECEIVED,
            Direction::Outbound => message.progress.status().as_str(),
        };
        Self {
            id: Set(message.id.0),
            account_id: Set(message.account_id.0),
            line_id: Set(message.line_id.0),
            conversation_id: Set(message.conversation_id.0),
            contact_id: Set(message.contact_id.0),
            case_id: Set(message.case_id.map(|case| case.0)),
            direction: Set(message.direction.as_str().to_owned()),
            provider_sid: Set(message.provider_sid),
            body: Set(message.body.into_revealed()),
            media: Set(Json::of(&message.media).into_text()),
            automatic: Set(message.automatic),
            author: Set(message.author),
            cause_id: Set(message.cause_id.map(|cause| cause.0)),
            status: Set(status.to_owned()),
            seen: Set(seen.into()),
            error_status: Set(error.map(|(status, _)| status.as_str().to_owned())),
            error_code: Set(error.map(|(_, code)| count(code))),
            conflict: Set(message.progress.conflict()),
            why: Set(Json::of(&message.why).into_text()),
            received_at: Set(message.received_at),
            processed_at: Set(message.processed_at),
            trace: Set(message.trace.map(|trace| trace.as_str().to_owned())),
        }
    }
}
