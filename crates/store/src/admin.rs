//! Accounts and lines, as an administrator adds and removes them. Every change moves the directory's version.

use casewire_domain::directory::{AccountEntry, Method, SharedKey};
use casewire_domain::line::{Guard, WhenUncertain};
use casewire_domain::seal::Sealed;
use casewire_domain::{AccountId, Address, LineId, Region};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    ModelTrait, PaginatorTrait, QueryFilter, QueryOrder,
};
use uuid::Uuid;

use crate::entity::{account, conversation, count, installation, line, line_listing, uncount, word};
use crate::error::Error;
use crate::transaction::Tx;
use crate::{DEFAULT_WORKSPACE, Store, directory};

/// Live auth tokens of an account: the newest, and the one before it while a rotation is under way.
const LIVE_TOKENS: usize = 2;

/// An account, as it is listed.
#[derive(Clone, Debug)]
pub struct Account {
    /// Ours.
    pub id: AccountId,
    /// The provider's.
    pub sid: String,
    /// How many tokens are live.
    pub tokens: usize,
    /// The ids of its shared signing keys.
    pub shared_keys: Vec<String>,
    /// How many lines it has.
    pub lines: u64,
}

/// What an administrator says of a line.
#[derive(Clone, Debug)]
pub struct LineSettings {
    /// The `{line}` of its webhook URLs.
    pub webhook_id: String,
    /// The address replies leave from.
    pub address: Address,
    /// How numbers without a country code are read.
    pub region: Region,
    /// Which methods its webhook takes.
    pub method: Method,
    /// Templates of automatic replies; blank sends nothing.
    pub on_open: String,
    /// … when a case is reopened.
    pub on_reopen: String,
    /// … when a text joins a case.
    pub on_update: String,
    /// The loop guard.
    pub guard: Guard,
    /// Texts a second the line may send.
    pub per_second: u32,
    /// What becomes of a text of which nobody can tell whether the provider took it.
    pub when_uncertain: WhenUncertain,
}

/// A line to add.
#[derive(Clone, Debug)]
pub struct NewLine {
    /// Its settings.
    pub settings: LineSettings,
    /// The account it belongs to, by the provider's id.
    pub account_sid: String,
}

/// A line, as it is listed.
#[derive(Clone, Debug)]
pub struct LineRow {
    /// Ours.
    pub id: LineId,
    /// Its settings.
    pub settings: LineSettings,
    /// The provider's id of its account.
    pub account_sid: String,
    /// Whether it takes webhooks.
    pub active: bool,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// Adds an account, or gives a known one another token, which becomes the newest. `seal` seals the
    /// token for the account's id.
    pub async fn put_account_token(
        &self,
        sid: String,
        seal: impl FnOnce(AccountId) -> Sealed + Send + 'static,
    ) -> Result<AccountId, Error> {
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                let known = by_sid(&tx.connection, &sid).await?;
                let id = known.as_ref().map_or_else(|| (inner.mint)(), |row| row.id);
                let mut tokens = vec![seal(id.into()).as_str().to_owned()];
                if let Some(row) = known {
                    let entry = directory::account_entry(row.clone())?;
                    tokens.extend(entry.tokens.iter().map(|token| token.as_str().to_owned()));
                    tokens.truncate(LIVE_TOKENS);
                    let mut row = row.into_active_model();
                    row.tokens = Set(serde_json::json!(tokens));
                    row.update(&tx.connection).await?;
                } else {
                    let row = account::ActiveModel {
                        id: Set(id),
                        workspace_id: Set(DEFAULT_WORKSPACE.0),
                        sid: Set(sid),
                        tokens: Set(serde_json::json!(tokens)),
                        shared_keys: Set(serde_json::json!([])),
                        created_at: Set(tx.at),
                    };
                    row.insert(&tx.connection).await?;
                }
                directory::bump(&tx.connection).await?;
                Ok(id.into())
            })
        })
        .await
    }

    /// Drops every token of an account but the newest: the end of a rotation.
    pub async fn drop_old_tokens(&self, sid: String) -> Result<(), Error> {
        self.change_account(sid, |entry, row| {
            let newest: Vec<_> = entry.tokens.iter().take(1).map(|token| token.as_str().to_owned()).collect();
            row.tokens = Set(serde_json::json!(newest));
        })
        .await
    }

    /// Adds a shared signing key to an account, or replaces the one of the same id. `seal` seals its secret
    /// for the account's id.
    pub async fn put_shared_key(
        &self,
        sid: String,
        key: impl FnOnce(AccountId) -> SharedKey + Send + 'static,
    ) -> Result<(), Error> {
        self.change_account(sid, move |entry, row| {
            let key = key(entry.id);
            let mut keys = entry.shared_keys.clone();
            keys.retain(|known| known.key_id != key.key_id);
            keys.insert(0, key);
            row.shared_keys = Set(serde_json::json!(keys));
        })
        .await
    }

    async fn change_account(
        &self,
        sid: String,
        change: impl FnOnce(&AccountEntry, &mut account::ActiveModel) + Send + 'static,
    ) -> Result<(), Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let row = by_sid(&tx.connection, &sid).await?.ok_or_else(|| no_account(&sid))?;
                let entry = directory::account_entry(row.clone())?;
                let mut row = row.into_active_model();
                change(&entry, &mut row);
                row.update(&tx.connection).await?;
                directory::bump(&tx.connection).await
            })
        })
        .await
    }

    /// Every account.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let connection = &self.inner.connections.reader;
        let rows = account::Entity::find().order_by_asc(account::Column::Sid).all(connection).await?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            let lines =
                line::Entity::find().filter(line::Column::AccountId.eq(row.id)).count(connection).await?;
            let entry = directory::account_entry(row)?;
            accounts.push(Account {
                id: entry.id,
                sid: entry.sid,
                tokens: entry.tokens.len(),
                shared_keys: entry.shared_keys.into_iter().map(|key| key.key_id).collect(),
                lines,
            });
        }
        Ok(accounts)
    }

    /// Whether an account of this provider's id is known.
    pub async fn has_account(&self, sid: &str) -> Result<bool, Error> {
        let found = account::Entity::find().filter(account::Column::Sid.eq(sid));
        Ok(found.one(&self.inner.connections.reader).await?.is_some())
    }

    /// Adds a line, or brings a removed one of the same id back with these settings.
    pub async fn add_line(&self, new: NewLine) -> Result<LineId, Error> {
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                let account = by_sid(&tx.connection, &new.account_sid).await?;
                let account = account.ok_or_else(|| no_account(&new.account_sid))?;
                let known = by_webhook_id(&tx.connection, &new.settings.webhook_id).await?;
                if known.as_ref().is_some_and(|row| row.active) {
                    let id = &new.settings.webhook_id;
                    return Err(Error::Invalid(format!(
                        "line {id} exists already: remove it first, or choose another id"
                    )));
                }
                let id = known.as_ref().map_or_else(|| (inner.mint)(), |row| row.id);
                let mut row = settings_row(&new.settings);
                row.id = Set(id);
                row.workspace_id = Set(account.workspace_id);
                row.account_id = Set(account.id);
                row.active = Set(true);
                row.created_at = Set(tx.at);
                if known.is_some() {
                    forget_listing(tx, id).await?;
                    row.update(&tx.connection).await?;
                } else {
                    row.insert(&tx.connection).await?;
                }
                directory::bump(&tx.connection).await?;
                Ok(id.into())
            })
        })
        .await
    }

    /// Every line, removed ones with a history included.
    pub async fn lines(&self) -> Result<Vec<LineRow>, Error> {
        let connection = &self.inner.connections.reader;
        let rows = line::Entity::find()
            .find_also_related(account::Entity)
            .order_by_asc(line::Column::WebhookId)
            .all(connection)
            .await?;
        rows.into_iter().map(|(row, account)| listed(row, account)).collect()
    }

    /// Removes a line. One with conversations keeps its row, so that its cases stay readable, and answers
    /// webhooks as an unknown line does. Whether the row is gone.
    pub async fn remove_line(&self, webhook_id: String) -> Result<bool, Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let row = by_webhook_id(&tx.connection, &webhook_id).await?;
                let row = row.ok_or_else(|| Error::Invalid(format!("there is no line {webhook_id}")))?;
                let used = conversation::Entity::find().filter(conversation::Column::LineId.eq(row.id));
                let used = used.one(&tx.connection).await?.is_some();
                if used {
                    let mut row = row.into_active_model();
                    row.active = Set(false);
                    row.update(&tx.connection).await?;
                } else {
                    row.delete(&tx.connection).await?;
                }
                directory::bump(&tx.connection).await?;
                Ok(!used)
            })
        })
        .await
    }

    /// What the installation's key check was sealed as; `None` before the first start.
    pub async fn key_check(&self) -> Result<Option<Sealed>, Error> {
        let row = installation::Entity::find_by_id(1).one(&self.inner.connections.reader).await?;
        Ok(row.and_then(|row| row.key_check).map(Sealed::from_stored))
    }

    /// Remembers a constant sealed with the master key, by which a wrong key is noticed at start.
    pub async fn set_key_check(&self, sealed: Sealed) -> Result<(), Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let row = installation::Entity::find_by_id(1).one(&tx.connection).await?;
                let Some(row) = row.filter(|row| row.key_check.is_none()) else { return Ok(()) };
                let mut row = row.into_active_model();
                row.key_check = Set(Some(sealed.as_str().to_owned()));
                row.update(&tx.connection).await?;
                Ok(())
            })
        })
        .await
    }
}

fn no_account(sid: &str) -> Error {
    Error::Invalid(format!("there is no account {sid}"))
}

async fn by_sid(connection: &DatabaseTransaction, sid: &str) -> Result<Option<account::Model>, Error> {
    Ok(account::Entity::find().filter(account::Column::Sid.eq(sid)).one(connection).await?)
}

async fn by_webhook_id(connection: &DatabaseTransaction, id: &str) -> Result<Option<line::Model>, Error> {
    Ok(line::Entity::find().filter(line::Column::WebhookId.eq(id)).one(connection).await?)
}

/// A line that comes back after a day or more is compared from now on: what came meanwhile was somebody else's to answer.
/// One that was removed to be changed goes on where it was.
async fn forget_listing(tx: &Tx, id: Uuid) -> Result<(), Error> {
    line_listing::Entity::delete_many()
        .filter(line_listing::Column::LineId.eq(id))
        .filter(line_listing::Column::ListedTo.lt(tx.at - TimeDelta::days(1)))
        .exec(&tx.connection)
        .await?;
    Ok(())
}

fn settings_row(settings: &LineSettings) -> line::ActiveModel {
    line::ActiveModel {
        webhook_id: Set(settings.webhook_id.clone()),
        address: Set(settings.address.reveal().to_owned()),
        region: Set(settings.region.as_str().to_owned()),
        method: Set(settings.method.as_str().to_owned()),
        on_open: Set(settings.on_open.clone()),
        on_reopen: Set(settings.on_reopen.clone()),
        on_update: Set(settings.on_update.clone()),
        per_ten_minutes: Set(count(settings.guard.per_ten_minutes)),
        per_day: Set(count(settings.guard.per_day)),
        per_second: Set(count(settings.per_second)),
        when_uncertain: Set(settings.when_uncertain.as_str().to_owned()),
        ..Default::default()
    }
}

fn listed(row: line::Model, account: Option<account::Model>) -> Result<LineRow, Error> {
    let guard = Guard { per_ten_minutes: uncount(row.per_ten_minutes), per_day: uncount(row.per_day) };
    Ok(LineRow {
        id: row.id.into(),
        account_sid: account.map(|account| account.sid).unwrap_or_default(),
        active: row.active,
        created_at: row.created_at,
        settings: LineSettings {
            webhook_id: row.webhook_id,
            address: Address::from_stored(row.address),
            region: word("line", |region| region.parse().ok(), &row.region)?,
            method: word("line", Method::parse, &row.method)?,
            on_open: row.on_open,
            on_reopen: row.on_reopen,
            on_update: row.on_update,
            guard,
            per_second: uncount(row.per_second),
            when_uncertain: word("line", WhenUncertain::parse, &row.when_uncertain)?,
        },
    })
}
