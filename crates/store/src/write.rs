//! Writing what a batch decided: each row once, in a few bulk statements.

use std::collections::{BTreeMap, HashSet};

use casewire_domain::DedupeId;
use casewire_domain::state::{EventRow, State, Writes};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use crate::entity::{case, case_event, conversation, event, message, outbox, reply_key, suppression};
use crate::error::Error;
use crate::transaction::Tx;

/// Most rows of one statement: 22 columns of 512 messages are a third of what SQLite takes as parameters.
const MOST_ROWS: usize = 512;

/// Writes everything the batch's decisions changed. The order follows the references between tables.
pub(crate) async fn write(tx: &Tx, state: &State) -> Result<(), Error> {
    let writes = &state.writes;
    let cases = writes.cases.values().map(case::ActiveModel::from).collect();
    let changed = OnConflict::column(case::Column::Id)
        .update_columns([
            case::Column::ConversationId,
            case::Column::LineId,
            case::Column::Status,
            case::Column::OpenedAt,
            case::Column::UpdatedAt,
            case::Column::ClosedAt,
        ])
        .to_owned();
    insert_chunked::<case::Entity, _>(tx, cases, Some(changed)).await?;
    current_cases(tx, state).await?;
    messages(tx, writes).await?;
    let trail = writes.trail.iter().map(case_event::ActiveModel::from).collect();
    insert_chunked::<case_event::Entity, _>(tx, trail, None).await?;
    queue(tx, writes).await?;
    suppressions(tx, writes).await?;
    replies(tx, writes).await?;
    events(tx, &writes.events, &state.known_events).await
}

async fn current_cases(tx: &Tx, state: &State) -> Result<(), Error> {
    let lanes = state.writes.current.keys().filter_map(|id| state.conversations.get(id));
    let rows = lanes.map(conversation::ActiveModel::from).collect();
    let changed = OnConflict::column(conversation::Column::Id)
        .update_column(conversation::Column::CurrentCaseId)
        .to_owned();
    insert_chunked::<conversation::Entity, _>(tx, rows, Some(changed)).await
}

async fn messages(tx: &Tx, writes: &Writes) -> Result<(), Error> {
    let new = writes.new_messages.values().map(message::ActiveModel::from).collect();
    // No conflict clause: the unique keys are the guarantee that a text is stored once.
    insert_chunked::<message::Entity, _>(tx, new, None).await?;
    let rows = writes.changed_messages.values().map(message::ActiveModel::from).collect();
    let changed = OnConflict::column(message::Column::Id)
        .update_columns([
            message::Column::ProviderSid,
            message::Column::Status,
            message::Column::Seen,
            message::Column::ErrorStatus,
            message::Column::ErrorCode,
            message::Column::Conflict,
            message::Column::Trace,
        ])
        .to_owned();
    insert_chunked::<message::Entity, _>(tx, rows, Some(changed)).await
}

async fn queue(tx: &Tx, writes: &Writes) -> Result<(), Error> {
    if !writes.dequeued.is_empty() {
        let ids = writes.dequeued.iter().map(|id| id.0);
        outbox::Entity::delete_many()
            .filter(outbox::Column::MessageId.is_in(ids))
            .exec(&tx.connection)
            .await?;
    }
    let rows = writes.outgoing.values().map(outbox::ActiveModel::from).collect();
    let changed = OnConflict::column(outbox::Column::MessageId)
        .update_columns([
            outbox::Column::State,
            outbox::Column::Attempt,
            outbox::Column::DueAt,
            outbox::Column::LeaseUntil,
            outbox::Column::AttemptedAt,
            outbox::Column::SearchedFrom,
            outbox::Column::Looks,
            outbox::Column::LookAt,
            outbox::Column::HeldAt,
            outbox::Column::Resends,
        ])
        .to_owned();
    insert_chunked::<outbox::Entity, _>(tx, rows, Some(changed)).await
}

async fn suppressions(tx: &Tx, writes: &Writes) -> Result<(), Error> {
    let rows = writes
        .suppressions
        .iter()
        .map(|((line, contact), learnt)| suppression::ActiveModel {
            line_id: Set(line.0),
            contact_id: Set(contact.0),
            active: Set(learnt.active),
            source: Set(learnt.source.as_str().to_owned()),
            received_at: Set(learnt.received_at),
        })
        .collect();
    // `Suppression::overrules` once more: what a callback teaches is not decided under the lane's lock.
    let newer = "excluded.received_at > suppression.received_at \
                 or (excluded.received_at = suppression.received_at and excluded.active)";
    let changed = OnConflict::columns([suppression::Column::LineId, suppression::Column::ContactId])
        .update_columns([
            suppression::Column::Active,
            suppression::Column::Source,
            suppression::Column::ReceivedAt,
        ])
        .action_and_where(Expr::cust(newer))
        .to_owned();
    insert_chunked::<suppression::Entity, _>(tx, rows, Some(changed)).await
}

async fn replies(tx: &Tx, writes: &Writes) -> Result<(), Error> {
    let row =
        |(author, key, message): &(String, String, casewire_domain::MessageId)| reply_key::ActiveModel {
            author: Set(author.clone()),
            key: Set(key.clone()),
            message_id: Set(message.0),
            created_at: Set(tx.at),
        };
    insert_chunked::<reply_key::Entity, _>(tx, writes.replies.iter().map(row).collect(), None).await
}

/// An event that was known (waiting, or dead) is brought up to date; a new one is inserted without a
/// conflict clause, so that an event another transaction handled meanwhile undoes this whole batch.
async fn events(
    tx: &Tx,
    rows: &BTreeMap<DedupeId, EventRow>,
    known: &HashSet<DedupeId>,
) -> Result<(), Error> {
    let (old, new): (Vec<_>, Vec<_>) = rows.values().partition(|row| known.contains(&row.facts.dedupe_id));
    insert_chunked::<event::Entity, _>(tx, new.into_iter().map(event::ActiveModel::from).collect(), None)
        .await?;
    for row in old {
        event::ActiveModel::from(row).update(&tx.connection).await?;
    }
    Ok(())
}

/// Inserts rows in statements of a power of two of rows each, so that the database sees few different
/// statements and keeps them prepared.
pub(crate) async fn insert_chunked<E, A>(
    tx: &Tx,
    rows: Vec<A>,
    on_conflict: Option<OnConflict>,
) -> Result<(), Error>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
    E::Model: IntoActiveModel<A>,
{
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let left = rows.len().min(MOST_ROWS);
        let chunk = if left.is_power_of_two() { left } else { left.next_power_of_two() / 2 };
        let insert = E::insert_many::<A, _>(rows.by_ref().take(chunk));
        match &on_conflict {
            Some(clause) => insert.on_conflict(clause.clone()).exec_without_returning(&tx.connection).await?,
            None => insert.exec_without_returning(&tx.connection).await?,
        };
    }
    Ok(())
}
