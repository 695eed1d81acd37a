//! Which lines may send now, and how much: their rates, kept in rows that claims lock.

use casewire_domain::rate::Turns;
use casewire_domain::{AccountId, LineId};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Statement,
    Value,
};
use uuid::Uuid;

use crate::Inner;
use crate::entity::{line_rate, uncount};
use crate::error::Error;
use crate::transaction::Tx;

/// Most lines looked at in one claim; those that had no turn for longest come first, so that others have
/// theirs in the next.
const MOST_LINES: i64 = 64;

/// A line with messages due.
#[derive(FromQueryResult)]
pub(super) struct DueLine {
    id: Uuid,
    account_id: Uuid,
    per_second: i32,
    /// When its rate lets it send; none of one that never sent, which has no row of its own for its rate.
    next_at: Option<DateTime<Utc>>,
}

impl DueLine {
    /// How long its rate still holds it back; `None` when it does not.
    fn held_for(&self, tx: &Tx) -> Option<TimeDelta> {
        self.next_at.map(|next_at| next_at - tx.at).filter(|left| *left > TimeDelta::zero())
    }

    pub(super) fn id(&self) -> LineId {
        LineId(self.id)
    }

    pub(super) fn account(&self) -> AccountId {
        AccountId(self.account_id)
    }
}

/// Lines that may send now, longest unserved first, and how long until the first of those may that their rates hold back.
/// Lines of paused accounts are left out.
pub(super) async fn due_lines(
    tx: &Tx,
    paused: &[AccountId],
) -> Result<(Vec<DueLine>, Option<TimeDelta>), Error> {
    let mut values = vec![Value::from(tx.at), Value::from(MOST_LINES)];
    values.extend(paused.iter().map(|account| Value::from(account.0)));
    let paused: Vec<_> = (0..paused.len()).map(|i| format!("${}", i + 3)).collect();
    let only = if paused.is_empty() {
        String::new()
    } else {
        format!("and l.account_id not in ({})", paused.join(", "))
    };
    let sql = format!(
        "select l.id, l.account_id, l.per_second, r.next_at \
         from line l left join line_rate r on r.line_id = l.id \
         where ( \
           select 1 from outbox o where o.line_id = l.id and o.state = 'pending' and o.due_at <= $1 limit 1 \
         ) is not null {only} \
         order by r.next_at is not null, r.next_at, l.id limit $2"
    );
    let statement = Statement::from_sql_and_values(tx.connection.get_database_backend(), sql, values);
    let lines = DueLine::find_by_statement(statement).all(&tx.connection).await?;
    let (held, free): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.held_for(tx).is_some());
    Ok((free, held.iter().filter_map(|line| line.held_for(tx)).min()))
}

/// The turns a line may take now, its rate locked until the transaction ends; `None` while another claim
/// holds it.
pub(super) async fn turns(tx: &Tx, inner: &Inner, line: &DueLine) -> Result<Option<Turns>, Error> {
    if line.next_at.is_none() {
        let fresh = line_rate::ActiveModel { line_id: Set(line.id), next_at: Set(Turns::start(tx.at)) };
        let once = OnConflict::column(line_rate::Column::LineId).do_nothing().to_owned();
        line_rate::Entity::insert(fresh).on_conflict(once).exec_without_returning(&tx.connection).await?;
    }
    let mut sql = "select next_at from line_rate where line_id = $1".to_owned();
    if inner.connections.is_postgres() {
        sql.push_str(" for update skip locked");
    }
    let statement =
        Statement::from_sql_and_values(tx.connection.get_database_backend(), sql, [Value::from(line.id)]);
    let Some(row) = tx.connection.query_one_raw(statement).await? else { return Ok(None) };
    let next_at: DateTime<Utc> = row.try_get("", "next_at")?;
    Ok(Some(Turns::at(tx.at, next_at, uncount(line.per_second))))
}

/// Remembers that so many turns were taken.
pub(super) async fn take(tx: &Tx, line: &DueLine, turns: Turns, taken: usize) -> Result<(), Error> {
    line_rate::Entity::update_many()
        .col_expr(line_rate::Column::NextAt, Expr::value(turns.after(taken)))
        .filter(line_rate::Column::LineId.eq(line.id))
        .exec(&tx.connection)
        .await?;
    Ok(())
}

/// How long until a line may go on whose rate alone holds messages back; `None` when there is no such line.
pub(super) async fn next_turn(tx: &Tx) -> Result<Option<TimeDelta>, Error> {
    let sql = "select min(r.next_at) as next_at from line_rate r where r.next_at > $1 and ( \
                 select 1 from outbox o where o.line_id = r.line_id and o.state = 'pending' and o.due_at <= $1 \
                 limit 1) is not null";
    let statement =
        Statement::from_sql_and_values(tx.connection.get_database_backend(), sql, [Value::from(tx.at)]);
    let Some(row) = tx.connection.query_one_raw(statement).await? else { return Ok(None) };
    let next_at: Option<DateTime<Utc>> = row.try_get("", "next_at")?;
    Ok(next_at.map(|at| at - tx.at))
}
