//! Lines as rules for decisions, and the directory ingest is given. Both are read again only when the
//! directory's version has moved, which every change of an account or a line does.

use std::sync::{Arc, Mutex, PoisonError};

use casewire_domain::directory::{AccountEntry, Directory, LineEntry, Method};
use casewire_domain::line::{Acknowledgements, Guard, Line, Rules, WhenUncertain};
use casewire_domain::seal::Sealed;
use casewire_domain::template::Template;
use casewire_domain::{Address, Region};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::Store;
use crate::entity::{account, installation, json, line, uncount, word};
use crate::error::Error;

/// The rules of one version of the directory.
#[derive(Default)]
pub(crate) struct RulesCache(Mutex<Option<(i64, Arc<Rules>)>>);

impl RulesCache {
    /// The rules as they stand in this transaction.
    pub(crate) async fn read(&self, connection: &impl ConnectionTrait) -> Result<Arc<Rules>, Error> {
        let version = version(connection).await?;
        if let Some((cached, rules)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *cached == version
        {
            return Ok(rules.clone());
        }
        let rows = line::Entity::find().all(connection).await?;
        let lines: Result<Vec<_>, _> = rows.into_iter().map(rules_of).collect();
        let rules = Arc::new(Rules::new(lines?).restored(restored_at(connection).await?));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, rules.clone()));
        Ok(rules)
    }
}

async fn version(connection: &impl ConnectionTrait) -> Result<i64, Error> {
    let version: Option<i64> = installation::Entity::find()
        .select_only()
        .column(installation::Column::DirectoryVersion)
        .into_tuple()
        .one(connection)
        .await?;
    version
        .ok_or_else(|| Error::Schema("the database has no installation row: run `casewire migrate`".into()))
}

/// When the database was brought back from a backup, if it was: the directory's version moves with it.
async fn restored_at(connection: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, Error> {
    let column = installation::Column::RestoredAt;
    let at = installation::Entity::find().select_only().column(column).into_tuple().one(connection).await?;
    Ok(at.flatten())
}

/// Says that accounts or lines have changed, in the transaction that changes them.
pub(crate) async fn bump(connection: &impl ConnectionTrait) -> Result<(), Error> {
    installation::Entity::update_many()
        .col_expr(
            installation::Column::DirectoryVersion,
            Expr::col(installation::Column::DirectoryVersion).add(1),
        )
        .filter(installation::Column::Id.eq(1))
        .exec(connection)
        .await?;
    Ok(())
}

fn rules_of(row: line::Model) -> Result<Line, Error> {
    Ok(Line {
        id: row.id.into(),
        workspace_id: row.workspace_id.into(),
        account_id: row.account_id.into(),
        address: Address::from_stored(row.address),
        region: row
            .region
            .parse::<Region>()
            .map_err(|_| Error::Unreadable { table: "line", what: "its region" })?,
        active: row.active,
        acknowledgements: Acknowledgements {
            on_open: template(&row.webhook_id, &row.on_open),
            on_reopen: template(&row.webhook_id, &row.on_reopen),
            on_update: template(&row.webhook_id, &row.on_update),
        },
        guard: Guard { per_ten_minutes: uncount(row.per_ten_minutes), per_day: uncount(row.per_day) },
        when_uncertain: word("line", WhenUncertain::parse, &row.when_uncertain)?,
        webhook_id: row.webhook_id,
    })
}

/// A template was checked when it was set. One that this version cannot read costs the reply, not the case.
fn template(line: &str, source: &str) -> Option<Template> {
    Template::parse(source).unwrap_or_else(|error| {
        tracing::error!(event = "template_unusable", line, %error, "a line's template cannot be used: nothing is answered");
        None
    })
}

impl Store {
    /// The directory's version: it grows with every change of an account or a line.
    pub async fn directory_version(&self) -> Result<i64, Error> {
        self.in_time(version(&self.inner.connections.reader)).await
    }

    /// The directory, as ingest is given it.
    pub async fn directory(&self) -> Result<Directory, Error> {
        self.in_time(self.read_directory()).await
    }

    async fn read_directory(&self) -> Result<Directory, Error> {
        let connection = &self.inner.connections.reader;
        // The version first: a change in between makes the next reading newer, never this one too new.
        let version = version(connection).await?;
        let accounts = account::Entity::find().all(connection).await?;
        let lines = line::Entity::find().all(connection).await?;
        Ok(Directory {
            version,
            accounts: accounts.into_iter().map(account_entry).collect::<Result<_, _>>()?,
            lines: lines.into_iter().map(line_entry).collect::<Result<_, _>>()?,
        })
    }
}

pub(crate) fn account_entry(row: account::Model) -> Result<AccountEntry, Error> {
    let tokens: Vec<String> = json("account", serde_json::from_value(row.tokens))?;
    Ok(AccountEntry {
        id: row.id.into(),
        sid: row.sid,
        tokens: tokens.into_iter().map(Sealed::from_stored).collect(),
        shared_keys: json("account", serde_json::from_value(row.shared_keys))?,
    })
}

fn line_entry(row: line::Model) -> Result<LineEntry, Error> {
    Ok(LineEntry {
        id: row.id.into(),
        webhook_id: row.webhook_id,
        account_id: row.account_id.into(),
        method: word("line", Method::parse, &row.method)?,
        active: row.active,
    })
}
