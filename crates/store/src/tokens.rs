//! API tokens, one-time links and sessions. The database holds the hash of each secret, never the secret.

use casewire_domain::WorkspaceId;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect,
};
use sha2::{Digest, Sha256};

use crate::entity::{installation, token};
use crate::error::Error;
use crate::transaction::Tx;
use crate::{DEFAULT_WORKSPACE, Inner, Store};

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An integration's bearer token.
    Api,
    /// A link that opens one session.
    Link,
    /// A browser's session.
    Session,
}

impl TokenKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Link => "link",
            Self::Session => "session",
        }
    }
}

/// Who a secret belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name it was given.
    pub name: String,
    /// What it may see.
    pub workspace_id: WorkspaceId,
}

/// What is stored of a secret. SHA-256 suffices: secrets are 256 random bits, which nobody guesses.
fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    /// Stores a new secret.
    pub async fn add_token(
        &self,
        kind: TokenKind,
        name: String,
        secret: &str,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let hash = hash(secret);
        self.in_tx(move |tx, inner| {
            Box::pin(async move { insert(tx, inner, kind, name, hash, expires_at).await })
        })
        .await
    }

    /// Stores a new API token without an end, under a name of its own: the trail tells by it who did what, and
    /// idempotency keys count by it. [`Error::Invalid`] when a secret that still opens something has that name.
    pub async fn add_api_token(&self, name: String, secret: &str) -> Result<(), Error> {
        let hash = hash(secret);
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                // Whoever adds one waits here for the others: the look below sees what they added.
                installation::Entity::find().lock_exclusive().one(&tx.connection).await?;
                let same_name = token::Entity::find()
                    .filter(token::Column::Name.eq(name.as_str()))
                    .filter(token::Column::UsedAt.is_null())
                    .filter(not_expired(tx.at));
                if same_name.count(&tx.connection).await? > 0 {
                    return Err(Error::Invalid(format!(
                        "there is a token called {name} already: take another name, since by it people tell who did what"
                    )));
                }
                insert(tx, inner, TokenKind::Api, name, hash, None).await
            })
        })
        .await
    }

    /// Who this secret belongs to; `None` when it is unknown, used up or too old.
    pub async fn caller(&self, kind: TokenKind, secret: &str) -> Result<Option<Caller>, Error> {
        let found = token::Entity::find()
            .filter(token::Column::Hash.eq(hash(secret)))
            .filter(token::Column::Kind.eq(kind.as_str()))
            .one(&self.inner.connections.reader);
        let row = self.in_time(async { Ok(found.await?) }).await?;
        let now = (self.inner.clock)();
        let live = row.filter(|row| row.expires_at.is_none_or(|at| at > now) && row.used_at.is_none());
        Ok(live.map(|row| Caller { name: row.name, workspace_id: row.workspace_id.into() }))
    }

    /// Turns a one-time link into a session: once, whatever clicks twice. Whether it did.
    pub async fn use_link(
        &self,
        link: &str,
        session: &str,
        session_expires_at: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let (link, session) = (hash(link), hash(session));
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                let rows = token::Entity::update_many()
                    .col_expr(token::Column::UsedAt, Expr::value(tx.at))
                    .filter(token::Column::Hash.eq(link.as_str()))
                    .filter(token::Column::Kind.eq(TokenKind::Link.as_str()))
                    .filter(token::Column::UsedAt.is_null())
                    .filter(not_expired(tx.at))
                    .exec(&tx.connection)
                    .await?;
                if rows.rows_affected == 0 {
                    return Ok(false);
                }
                let row =
                    token::Entity::find().filter(token::Column::Hash.eq(link)).one(&tx.connection).await?;
                let name = row.map(|row| row.name).unwrap_or_default();
                insert(tx, inner, TokenKind::Session, name, session, Some(session_expires_at)).await?;
                Ok(true)
            })
        })
        .await
    }
}

fn not_expired(at: DateTime<Utc>) -> Condition {
    Condition::any().add(token::Column::ExpiresAt.is_null()).add(token::Column::ExpiresAt.gt(at))
}

async fn insert(
    tx: &Tx,
    inner: &Inner,
    kind: TokenKind,
    name: String,
    hash: String,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    let row = token::ActiveModel {
        id: Set((inner.mint)()),
        workspace_id: Set(DEFAULT_WORKSPACE.0),
        kind: Set(kind.as_str().to_owned()),
        name: Set(name),
        hash: Set(hash),
        created_at: Set(tx.at),
        expires_at: Set(expires_at),
        used_at: Set(None),
    };
    row.insert(&tx.connection).await?;
    Ok(())
}
