//! Writing what a batch decided: each row once, in a few bulk statements.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use casewire_domain::case::Conversation;
use casewire_domain::outbox::Outgoing;
use casewire_domain::state::{EventRow, State};
use casewire_domain::suppression::Suppression;
use casewire_domain::{ContactId, DedupeId, LineId, MessageId};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, QueryFilter};

use crate::bulk::{among, insert};
use crate::entity::{case, case_event, conversation, event, message, outbox, reply_key, suppression};
use crate::error::Error;
use crate::transaction::Tx;

/// Writes everything the batch's decisions changed. The order follows the references between tables.
pub(crate) async fn write(tx: &Tx, state: State) -> Result<(), Error> {
    let State { writes, mut cases, mut messages, conversations, known_events, .. } = state;
    put_cases(tx, taken("case", &mut cases, writes.cases)?).await?;
    let current = writes.current.keys().filter_map(|id| conversations.get(id).cloned());
    current_cases(tx, current.collect()).await?;
    // No conflict clause: the unique keys are the guarantee that a text is stored once.
    let new: Vec<message::ActiveModel> = taken("message", &mut messages, writes.new_messages)?;
    insert(tx, new, None).await?;
    changed_messages(tx, taken("message", &mut messages, writes.changed_messages)?).await?;
    let trail = writes.trail.into_iter().map(case_event::ActiveModel::from).collect();
    insert(tx, trail, None).await?;
    queue(tx, writes.dequeued, writes.outgoing).await?;
    suppressions(tx, writes.suppressions).await?;
    replies(tx, writes.replies).await?;
    events(tx, writes.events, &known_events).await
}

/// The rows of these ids, out of what is known.
fn taken<I, T, A>(table: &'static str, known: &mut HashMap<I, T>, ids: BTreeSet<I>) -> Result<Vec<A>, Error>
where
    I: Eq + Hash,
    A: From<T>,
{
    let what = "a row was to be written that is not known";
    ids.iter().map(|id| known.remove(id).map(A::from).ok_or(Error::Unreadable { table, what })).collect()
}

async fn put_cases(tx: &Tx, cases: Vec<case::ActiveModel>) -> Result<(), Error> {
    let changed = OnConflict::column(case::Column::Id)
        .update_columns([
            case::Column::ConversationId,
            case::Column::LineId,
            case::Column::Status,
            case::Column::OpenedAt,
            case::Column::UpdatedAt,
            case::Column::ClosedAt,
            case::Column::UnansweredSince,
        ])
        .to_owned();
    insert(tx, cases, Some(changed)).await
}

async fn current_cases(tx: &Tx, lanes: Vec<Conversation>) -> Result<(), Error> {
    let rows = lanes.into_iter().map(conversation::ActiveModel::from).collect();
    let changed = OnConflict::column(conversation::Column::Id)
        .update_column(conversation::Column::CurrentCaseId)
        .to_owned();
    insert(tx, rows, Some(changed)).await
}

async fn changed_messages(tx: &Tx, rows: Vec<message::ActiveModel>) -> Result<(), Error> {
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
    insert(tx, rows, Some(changed)).await
}

async fn queue(
    tx: &Tx,
    dequeued: Vec<MessageId>,
    outgoing: BTreeMap<MessageId, Outgoing>,
) -> Result<(), Error> {
    if !dequeued.is_empty() {
        let ids = dequeued.iter().map(|id| id.0);
        outbox::Entity::delete_many()
            .filter(among(&tx.connection, outbox::Column::MessageId, ids))
            .exec(&tx.connection)
            .await?;
    }
    let rows = outgoing.into_values().map(outbox::ActiveModel::from).collect();
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
    insert(tx, rows, Some(changed)).await
}

async fn suppressions(tx: &Tx, learnt: BTreeMap<(LineId, ContactId), Suppression>) -> Result<(), Error> {
    let rows = learnt
        .into_iter()
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
    insert(tx, rows, Some(changed)).await
}

async fn replies(tx: &Tx, replies: Vec<(String, String, MessageId)>) -> Result<(), Error> {
    let row = |(author, key, message): (String, String, MessageId)| reply_key::ActiveModel {
        author: Set(author),
        key: Set(key),
        message_id: Set(message.0),
        created_at: Set(tx.at),
    };
    insert(tx, replies.into_iter().map(row).collect(), None).await
}

/// An event that was known (waiting, or dead) is brought up to date; a new one is inserted without a
/// conflict clause, so that an event which was handled before, or meanwhile, undoes this whole batch.
async fn events(tx: &Tx, rows: BTreeMap<DedupeId, EventRow>, known: &HashSet<DedupeId>) -> Result<(), Error> {
    let (old, new): (Vec<_>, Vec<_>) =
        rows.into_values().partition(|row| known.contains(&row.facts.dedupe_id));
    insert(tx, new.into_iter().map(event::ActiveModel::from).collect(), None).await?;
    for row in old {
        event::ActiveModel::from(row).update(&tx.connection).await?;
    }
    Ok(())
}
