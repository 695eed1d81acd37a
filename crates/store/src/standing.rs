//! How cases stand, for those who look after the whole of them.

use std::time::Duration;

use casewire_domain::MessageId;
use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, Statement, Value};

use crate::Store;
use crate::error::Error;

/// How cases stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Standing {
    /// Cases that are open.
    pub open: i64,
    /// Cases that are set aside.
    pub pending: i64,
    /// When the text came that has waited longest for a person's answer in an open case.
    pub oldest_unanswered: Option<DateTime<Utc>>,
    /// Contacts who have opted out, counted for each line.
    pub opted_out: i64,
}

/// Reads by index what is open, and nothing of what is closed.
const STANDING: &str = r#"select
    (select count(*) from "case" where status = 'open') as open,
    (select count(*) from "case" where status = 'pending') as pending,
    (select min(unanswered_since) from "case" where status = 'open') as oldest_unanswered,
    (select count(*) from suppression where active) as opted_out"#;

/// The beginning of a reply's case, where no person had replied in it before.
const FIRST_REPLY: &str = r#"select c.opened_at, m.processed_at from message m join "case" c on c.id = m.case_id
    where m.id = $1 and not exists (
        select 1 from message o where o.case_id = m.case_id and o.id <> m.id
            and o.direction = 'outbound' and not o.automatic)"#;

impl Store {
    /// How cases stand now.
    pub async fn standing(&self) -> Result<Standing, Error> {
        let connection = &self.inner.connections.reader;
        let statement = Statement::from_string(connection.get_database_backend(), STANDING);
        self.in_time(async {
            Ok(Standing::find_by_statement(statement).one(connection).await?.unwrap_or_default())
        })
        .await
    }

    /// How long after its case began this reply was written, where it is the first a person wrote in it.
    pub async fn first_reply_after(&self, reply: MessageId) -> Result<Option<Duration>, Error> {
        #[derive(FromQueryResult)]
        struct Row {
            opened_at: DateTime<Utc>,
            processed_at: DateTime<Utc>,
        }
        let connection = &self.inner.connections.reader;
        let values = [Value::from(reply.0)];
        let statement =
            Statement::from_sql_and_values(connection.get_database_backend(), FIRST_REPLY, values);
        let row =
            self.in_time(async { Ok(Row::find_by_statement(statement).one(connection).await?) }).await?;
        Ok(row.map(|row| (row.processed_at - row.opened_at).to_std().unwrap_or_default()))
    }
}
