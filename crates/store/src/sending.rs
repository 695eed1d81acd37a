//! The outbox as a queue: claiming what may be sent now, and noticing attempts whose process is gone.

use std::collections::HashSet;
use std::time::Duration;

use casewire_domain::directory::AccountEntry;
use casewire_domain::rate::Turns;
use casewire_domain::{AccountId, Address, LineId, MessageId, Text};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};
use uuid::Uuid;

use crate::entity::{account, contact, line, line_rate, message, outbox, suppression, uncount};
use crate::error::Error;
use crate::transaction::Tx;
use crate::{Inner, Store, directory};

/// What a sender asks for.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Most messages to take.
    pub most: usize,
    /// How long an attempt may take before it counts as lost with its process.
    pub lease: Duration,
    /// Accounts whose breaker is open: their messages wait.
    pub paused: Vec<AccountId>,
}

/// A message to send now. Its attempt is committed as begun.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The message.
    pub message_id: MessageId,
    /// This attempt.
    pub attempt: u32,
    /// The webhook id of its line, for the callback path.
    pub line: String,
    /// The address it leaves from.
    pub from: Address,
    /// The person.
    pub to: Address,
    /// What to send.
    pub body: Text,
    /// Whose credentials to use.
    pub account: AccountEntry,
    /// Whether the contact has opted out since it was written: it must not be sent.
    pub suppressed: bool,
}

/// Most lines looked at in one claim; those whose texts have waited longest come first.
const MOST_LINES: u64 = 64;

impl Store {
    /// Takes messages that may be sent now: the oldest of each conversation, within each line's rate, none
    /// whose earlier text is unsettled. What is returned is marked as being sent, in a committed
    /// transaction: a crash from here on leaves it uncertain, and never sent twice.
    pub async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, Error> {
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                let mut ids = Vec::new();
                for line in due_lines(tx, &claim).await? {
                    let left = claim.most - ids.len();
                    if left == 0 {
                        break;
                    }
                    ids.extend(claim_of_line(tx, inner, line, left).await?);
                }
                begin_attempts(tx, &ids, claim.lease).await?;
                claimed(tx, ids).await
            })
        })
        .await
    }

    /// Messages whose attempt was begun by a process that is gone, with the attempt.
    pub async fn lost_attempts(&self, most: u64) -> Result<Vec<(MessageId, u32)>, Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let rows: Vec<(Uuid, i32)> = outbox::Entity::find()
                    .select_only()
                    .columns([outbox::Column::MessageId, outbox::Column::Attempt])
                    .filter(Expr::cust("state = 'sending'"))
                    .filter(outbox::Column::LeaseUntil.lt(tx.at))
                    .limit(most)
                    .into_tuple()
                    .all(&tx.connection)
                    .await?;
                Ok(rows.into_iter().map(|(id, attempt)| (id.into(), uncount(attempt))).collect())
            })
        })
        .await
    }

    /// How many messages wait and how many are held as uncertain, and since when the oldest waits.
    pub async fn outbox_depth(&self) -> Result<OutboxDepth, Error> {
        let sql = "select count(*) filter (where state <> 'uncertain') as waiting, \
                   count(*) filter (where state = 'uncertain') as uncertain, \
                   min(queued_at) filter (where state <> 'uncertain') as oldest from outbox";
        let connection = &self.inner.connections.reader;
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let depth = OutboxDepth::find_by_statement(statement).one(connection).await?;
        Ok(depth.unwrap_or_default())
    }
}

/// How much is in the outbox.
#[derive(Clone, Debug, Default, FromQueryResult)]
pub struct OutboxDepth {
    /// Messages pending or being sent.
    pub waiting: i64,
    /// Messages held because nobody knows whether the provider took them.
    pub uncertain: i64,
    /// When the oldest waiting one was queued.
    pub oldest: Option<DateTime<Utc>>,
}

/// Lines with messages due, longest waiting first, those of paused accounts left out.
async fn due_lines(tx: &Tx, claim: &Claim) -> Result<Vec<(LineId, u32)>, Error> {
    let paused: Vec<Uuid> = claim.paused.iter().map(|id| id.0).collect();
    let due: Vec<Uuid> = outbox::Entity::find()
        .select_only()
        .column(outbox::Column::LineId)
        .filter(Expr::cust("state = 'pending'"))
        .filter(outbox::Column::DueAt.lte(tx.at))
        .group_by(outbox::Column::LineId)
        .order_by_asc(outbox::Column::DueAt.min())
        .limit(MOST_LINES)
        .into_tuple()
        .all(&tx.connection)
        .await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let rows = line::Entity::find()
        .filter(line::Column::Id.is_in(due.iter().copied()))
        .filter(line::Column::AccountId.is_not_in(paused))
        .all(&tx.connection)
        .await?;
    let rate = |id: &Uuid| {
        rows.iter().find(|row| row.id == *id).map(|row| (LineId(row.id), uncount(row.per_second)))
    };
    Ok(due.iter().filter_map(rate).collect())
}

/// What one line may send now. Its rate row is locked, or the line is left to whoever holds it.
async fn claim_of_line(
    tx: &Tx,
    inner: &Inner,
    (line, per_second): (LineId, u32),
    most: usize,
) -> Result<Vec<Uuid>, Error> {
    let Some(next_at) = lock_rate(tx, inner, line).await? else { return Ok(Vec::new()) };
    let turns = Turns::at(tx.at, next_at, per_second);
    let most = turns.count.min(most);
    if most == 0 {
        return Ok(Vec::new());
    }
    let ids = sendable(tx, inner, line, most).await?;
    line_rate::Entity::update_many()
        .col_expr(line_rate::Column::NextAt, Expr::value(turns.after(ids.len())))
        .filter(line_rate::Column::LineId.eq(line.0))
        .exec(&tx.connection)
        .await?;
    Ok(ids)
}

/// When the line may send next, its row locked; `None` while another claim holds it.
async fn lock_rate(tx: &Tx, inner: &Inner, line: LineId) -> Result<Option<DateTime<Utc>>, Error> {
    let fresh = line_rate::ActiveModel { line_id: Set(line.0), next_at: Set(Turns::start(tx.at)) };
    let once = OnConflict::column(line_rate::Column::LineId).do_nothing().to_owned();
    line_rate::Entity::insert(fresh).on_conflict(once).exec_without_returning(&tx.connection).await?;
    let mut sql = "select next_at from line_rate where line_id = $1".to_owned();
    if inner.connections.is_postgres() {
        sql.push_str(" for update skip locked");
    }
    let statement =
        Statement::from_sql_and_values(tx.connection.get_database_backend(), sql, [Value::from(line.0)]);
    let row = tx.connection.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get("", "next_at")).transpose()?)
}

/// The oldest pending message of each conversation whose earlier texts are settled. An uncertain one holds
/// the later texts back until its `due_at`.
async fn sendable(tx: &Tx, inner: &Inner, line: LineId, most: usize) -> Result<Vec<Uuid>, Error> {
    let mut sql = "select o.message_id from outbox o \
         where o.line_id = $1 and o.state = 'pending' and o.due_at <= $2 and not exists ( \
           select 1 from outbox e where e.conversation_id = o.conversation_id \
           and (e.queued_at < o.queued_at or (e.queued_at = o.queued_at and e.message_id < o.message_id)) \
           and (e.state <> 'uncertain' or e.due_at > $2)) \
         order by o.due_at, o.message_id limit $3"
        .to_owned();
    if inner.connections.is_postgres() {
        sql.push_str(" for update of o skip locked");
    }
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let values = [Value::from(line.0), Value::from(tx.at), Value::from(limit)];
    let statement = Statement::from_sql_and_values(tx.connection.get_database_backend(), sql, values);
    let rows = tx.connection.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(row.try_get("", "message_id")?)).collect()
}

async fn begin_attempts(tx: &Tx, ids: &[Uuid], lease: Duration) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::minutes(1));
    outbox::Entity::update_many()
        .col_expr(outbox::Column::State, Expr::value("sending"))
        .col_expr(outbox::Column::Attempt, Expr::col(outbox::Column::Attempt).add(1))
        .col_expr(outbox::Column::LeaseUntil, Expr::value(tx.at + lease))
        .filter(outbox::Column::MessageId.is_in(ids.iter().copied()))
        .exec(&tx.connection)
        .await?;
    Ok(())
}

/// Everything a sender needs of these messages, in the order they were queued.
async fn claimed(tx: &Tx, ids: Vec<Uuid>) -> Result<Vec<Claimed>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = outbox::Entity::find()
        .filter(outbox::Column::MessageId.is_in(ids.iter().copied()))
        .order_by_asc(outbox::Column::QueuedAt)
        .order_by_asc(outbox::Column::MessageId)
        .all(&tx.connection)
        .await?;
    let people = Parties::load(tx, &ids).await?;
    rows.into_iter().map(|row| people.claimed(row)).collect()
}

/// The rows around a claim, each loaded once.
struct Parties {
    messages: Vec<message::Model>,
    contacts: Vec<contact::Model>,
    lines: Vec<line::Model>,
    accounts: Vec<account::Model>,
    suppressed: HashSet<(Uuid, Uuid)>,
}

impl Parties {
    async fn load(tx: &Tx, ids: &[Uuid]) -> Result<Self, Error> {
        let db = &tx.connection;
        let messages =
            message::Entity::find().filter(message::Column::Id.is_in(ids.iter().copied())).all(db).await?;
        let distinct = |id: fn(&message::Model) -> Uuid| messages.iter().map(id).collect::<HashSet<_>>();
        let contacts = distinct(|message| message.contact_id);
        let lines = distinct(|message| message.line_id);
        let accounts = distinct(|message| message.account_id);
        let stopped = suppression::Entity::find()
            .filter(suppression::Column::ContactId.is_in(contacts.iter().copied()))
            .filter(suppression::Column::Active.eq(true))
            .all(db)
            .await?;
        Ok(Self {
            contacts: contact::Entity::find().filter(contact::Column::Id.is_in(contacts)).all(db).await?,
            lines: line::Entity::find().filter(line::Column::Id.is_in(lines)).all(db).await?,
            accounts: account::Entity::find().filter(account::Column::Id.is_in(accounts)).all(db).await?,
            suppressed: stopped.into_iter().map(|row| (row.line_id, row.contact_id)).collect(),
            messages,
        })
    }

    fn claimed(&self, row: outbox::Model) -> Result<Claimed, Error> {
        const GONE: Error = Error::Unreadable { table: "outbox", what: "a reference" };
        let message = self.messages.iter().find(|message| message.id == row.message_id).ok_or(GONE)?;
        let line = self.lines.iter().find(|line| line.id == message.line_id).ok_or(GONE)?;
        let contact = self.contacts.iter().find(|contact| contact.id == message.contact_id).ok_or(GONE)?;
        let account = self.accounts.iter().find(|account| account.id == message.account_id).ok_or(GONE)?;
        Ok(Claimed {
            message_id: row.message_id.into(),
            attempt: uncount(row.attempt),
            line: line.webhook_id.clone(),
            from: Address::from_stored(line.address.clone()),
            to: Address::from_stored(contact.address.clone()),
            body: Text::new(message.body.clone()),
            account: directory::account_entry(account.clone())?,
            suppressed: self.suppressed.contains(&(message.line_id, message.contact_id)),
        })
    }
}
