//! Texts of which nobody knows whether the provider took them: which to look for on its list now.

use std::time::Duration;

use casewire_domain::directory::AccountEntry;
use casewire_domain::line::WhenUncertain;
use casewire_domain::{AccountId, Address, MessageId};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, Statement, Value};
use uuid::Uuid;

use super::parties;
use crate::bulk::among;
use crate::entity::outbox;
use crate::error::Error;
use crate::transaction::Tx;
use crate::{Inner, Store};

/// What a settler asks for.
#[derive(Clone, Debug)]
pub struct LookFor {
    /// Most texts to take.
    pub most: usize,
    /// How long after an attempt began the provider's list is read for it: the first time, the second, …
    pub after: Vec<Duration>,
    /// How long a text is left to whoever took it.
    pub lease: Duration,
    /// Accounts whose breaker is open: their texts wait, but for those nobody holds yet though their last look is due.
    pub paused: Vec<AccountId>,
}

/// A text to look for on the provider's list now.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// The text.
    pub message_id: MessageId,
    /// The attempt whose outcome is unknown.
    pub attempt: u32,
    /// How often the list was read for this attempt already.
    pub looks: u32,
    /// How long ago that attempt began.
    pub age: Duration,
    /// When the first attempt began that the provider may have taken.
    pub since: DateTime<Utc>,
    /// The address it left from.
    pub from: Address,
    /// The person.
    pub to: Address,
    /// Whose credentials to use.
    pub account: AccountEntry,
    /// What its line wants in the end.
    pub when_uncertain: WhenUncertain,
}

impl Store {
    /// Takes uncertain texts whose next look at the provider's list is due, those first whose attempt is oldest. Each
    /// is left to the caller for as long as the lease says; what the caller learns, it hands in as a command.
    pub async fn due_uncertain(&self, look: LookFor) -> Result<Vec<Unsettled>, Error> {
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                let ids = due(tx, inner, &look).await?;
                if !ids.is_empty() {
                    let lease = TimeDelta::from_std(look.lease).unwrap_or(TimeDelta::minutes(1));
                    outbox::Entity::update_many()
                        .col_expr(outbox::Column::LookAt, Expr::value(tx.at + lease))
                        .filter(among(&tx.connection, outbox::Column::MessageId, ids.iter().copied()))
                        .exec(&tx.connection)
                        .await?;
                }
                parties::unsettled(tx, ids).await
            })
        })
        .await
    }
}

async fn due(tx: &Tx, inner: &Inner, look: &LookFor) -> Result<Vec<Uuid>, Error> {
    let mut values = vec![Value::from(tx.at), Value::from(i64::try_from(look.most).unwrap_or(i64::MAX))];
    let mut place = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let mut turns = Vec::new();
    for (looks, after) in look.after.iter().enumerate() {
        let begun = place(Value::from(tx.at - TimeDelta::from_std(*after).unwrap_or(TimeDelta::days(1))));
        // What is held needs no further look, unless the last one failed; fewer looks may be wanted than once were.
        let turn = if looks + 1 == look.after.len() {
            format!("(o.looks = {looks} or (o.looks > {looks} and o.held_at is null))")
        } else {
            format!("o.looks = {looks}")
        };
        // A version that did not keep when the attempt began called it uncertain a minute before `due_at`.
        turns.push(format!(
            "({turn} and (o.attempted_at <= {begun} or (o.attempted_at is null and o.due_at <= {begun})))"
        ));
    }
    let Some(last) = look.after.last() else { return Ok(Vec::new()) };
    let paused: Vec<_> = look.paused.iter().map(|account| place(Value::from(account.0))).collect();
    let only = if paused.is_empty() {
        String::new()
    } else {
        let begun = place(Value::from(tx.at - TimeDelta::from_std(*last).unwrap_or(TimeDelta::days(1))));
        format!(
            "and ((o.held_at is null and coalesce(o.attempted_at, o.due_at) <= {begun}) \
             or o.line_id not in (select id from line where account_id in ({})))",
            paused.join(", ")
        )
    };
    let mut sql = format!(
        "select o.message_id from outbox o where o.state = 'uncertain' \
         and (o.look_at is null or o.look_at <= $1) and ({}) {only} \
         order by o.attempted_at, o.message_id limit $2",
        turns.join(" or ")
    );
    if inner.connections.is_postgres() {
        sql.push_str(" for update of o skip locked");
    }
    let statement = Statement::from_sql_and_values(tx.connection.get_database_backend(), sql, values);
    let rows = tx.connection.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(row.try_get("", "message_id")?)).collect()
}
