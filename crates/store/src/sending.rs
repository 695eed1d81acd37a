//! The outbox as a queue: claiming what may be sent now, and noticing attempts whose process is gone.

mod parties;
mod settling;
mod turns;

use std::collections::HashMap;
use std::time::Duration;

use casewire_domain::directory::AccountEntry;
use casewire_domain::outbox::OutboxState;
use casewire_domain::{AccountId, Address, LineId, MessageId, Text, TraceParent, rate};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Statement, Value,
};
use uuid::Uuid;

use crate::bulk::among;
use crate::entity::{outbox, uncount, word};
use crate::error::Error;
use crate::transaction::Tx;
use crate::{Inner, Store};
pub use settling::{LookFor, Unsettled};
use turns::DueLine;

/// What a sender asks for.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Most messages to take.
    pub most: usize,
    /// How long an attempt may take before it counts as lost with its process.
    pub lease: Duration,
    /// Accounts whose breaker is open: their messages wait.
    pub paused: Vec<AccountId>,
    /// Accounts that may send so many texts now and no more.
    pub slowed: Vec<(AccountId, usize)>,
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
    /// Whether no person wrote it.
    pub automatic: bool,
    /// When it was queued.
    pub queued_at: DateTime<Utc>,
    /// The trace of what led to it.
    pub trace: Option<TraceParent>,
}

/// What a claim took.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The messages, in the order they were queued.
    pub messages: Vec<Claimed>,
    /// When to claim again, where a line has more that only its rate holds back. Such a line catches up with a
    /// tenth of a second of its rate and no more, so that whoever looks less often than this sends too slowly.
    pub again_in: Option<Duration>,
}

impl Store {
    /// Takes messages that may be sent now: the oldest of each conversation, within each line's rate, none
    /// whose earlier text is unsettled. What is returned is marked as being sent, in a committed
    /// transaction: a crash from here on leaves it uncertain, and never sent twice.
    pub async fn claim(&self, claim: Claim) -> Result<Claims, Error> {
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                let mut ids = Vec::new();
                let mut slowed: HashMap<_, _> = claim.slowed.into_iter().collect();
                let (lines, next_in) = turns::due_lines(tx, &claim.paused).await?;
                if lines.is_empty() {
                    return Ok(Claims { messages: Vec::new(), again_in: next_in.map(rate::round) });
                }
                for line in lines {
                    let left = claim.most - ids.len();
                    let may = slowed.get(&line.account()).map_or(left, |may| left.min(*may));
                    if may == 0 {
                        continue;
                    }
                    let taken = claim_of_line(tx, inner, &line, may).await?;
                    slowed.entry(line.account()).and_modify(|may| *may -= taken.len());
                    ids.extend(taken);
                }
                begin_attempts(tx, &ids, claim.lease).await?;
                let again_in = turns::next_turn(tx).await?.map(rate::round);
                Ok(Claims { messages: parties::claimed(tx, ids).await?, again_in })
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

    /// What the outbox holds, by state.
    pub async fn outbox_depth(&self) -> Result<OutboxDepth, Error> {
        #[derive(FromQueryResult)]
        struct Row {
            state: String,
            messages: i64,
            oldest: DateTime<Utc>,
        }
        let sql = "select state, count(*) as messages, min(queued_at) as oldest from outbox group by state";
        let connection = &self.inner.connections.reader;
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let mut depth = OutboxDepth::default();
        let rows =
            self.in_time(async { Ok(Row::find_by_statement(statement).all(connection).await?) }).await?;
        for row in rows {
            let held = Held { messages: row.messages, oldest: Some(row.oldest) };
            match word("outbox", OutboxState::parse, &row.state)? {
                OutboxState::Pending => depth.pending = held,
                OutboxState::Sending => depth.sending = held,
                OutboxState::Uncertain => depth.uncertain = held,
            }
        }
        let sql = "select count(*) as messages, min(held_at) as oldest from outbox \
                   where state = 'uncertain' and held_at is not null";
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let held = Held::find_by_statement(statement).one(connection);
        depth.held = self.in_time(async { Ok(held.await?) }).await?.unwrap_or_default();
        Ok(depth)
    }
}

/// What the outbox holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutboxDepth {
    /// Messages that wait for their turn.
    pub pending: Held,
    /// Messages of which an attempt is under way.
    pub sending: Held,
    /// Messages of which nobody knows whether the provider took them.
    pub uncertain: Held,
    /// Those of them that wait for a person's word.
    pub held: Held,
}

/// How much of something waits for its end.
#[derive(Clone, Copy, Debug, Default, FromQueryResult)]
pub struct Held {
    /// How many messages or events.
    pub messages: i64,
    /// When the oldest of them began to wait.
    pub oldest: Option<DateTime<Utc>>,
}

/// What one line may send now. Its rate row is locked, or the line is left to whoever holds it.
async fn claim_of_line(tx: &Tx, inner: &Inner, line: &DueLine, most: usize) -> Result<Vec<Uuid>, Error> {
    let Some(turns) = turns::turns(tx, inner, line).await? else { return Ok(Vec::new()) };
    let most = turns.count.min(most);
    let ids = if most == 0 { Vec::new() } else { sendable(tx, inner, line.id(), most).await? };
    turns::take(tx, line, turns, ids.len()).await?;
    Ok(ids)
}

/// The oldest pending message of each conversation whose earlier texts are settled. An uncertain one holds
/// the later texts back until its `due_at`. What is asked of each row is a subquery with a limit, here and for lines: it
/// cannot be made a join that reads all of the outbox.
async fn sendable(tx: &Tx, inner: &Inner, line: LineId, most: usize) -> Result<Vec<Uuid>, Error> {
    let mut sql = "select o.message_id from outbox o \
         where o.line_id = $1 and o.state = 'pending' and o.due_at <= $2 and ( \
           select 1 from outbox e where e.conversation_id = o.conversation_id \
           and (e.queued_at < o.queued_at or (e.queued_at = o.queued_at and e.message_id < o.message_id)) \
           and (e.state <> 'uncertain' or e.due_at > $2) limit 1) is null \
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
        .col_expr(outbox::Column::AttemptedAt, Expr::value(tx.at))
        .col_expr(outbox::Column::Looks, Expr::value(0))
        .col_expr(outbox::Column::LookAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(outbox::Column::HeldAt, Expr::value(None::<DateTime<Utc>>))
        .filter(among(&tx.connection, outbox::Column::MessageId, ids.iter().copied()))
        .exec(&tx.connection)
        .await?;
    Ok(())
}
