//! The database: PostgreSQL or SQLite, one code path. The only crate that touches application tables, and
//! it does so in a few operations, each one transaction.

mod admin;
mod backup;
mod bulk;
mod connect;
mod connections;
mod dead_letter;
mod directory;
mod entity;
mod error;
mod handle;
mod load;
mod migration;
mod numbers;
#[cfg(test)]
mod plans;
mod reconciliation;
mod request;
mod restoring;
mod schema;
mod sending;
mod standing;
mod sweeping;
mod tokens;
mod transaction;
pub mod view;
mod write;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use admin::{Account, LineRow, LineSettings, NewLine};
pub use backup::{COPIED, check_file};
pub use connect::Config;
pub use connections::Pool;
pub use dead_letter::{DeadLetter, ReplayRequest};
pub use error::Error;
pub use reconciliation::{AskedBy, LineReport, Reconciliation};
pub use sending::{Claim, Claimed, Claims, Held, LookFor, OutboxDepth, Unsettled};
pub use standing::Standing;
pub use sweeping::{COMPARING, StreamMark};
pub use tokens::{Caller, TokenKind};

use connect::Connections;
use connections::Queue;
use directory::RulesCache;
use numbers::Numbers;

/// The workspace every installation begins with.
pub const DEFAULT_WORKSPACE: casewire_domain::WorkspaceId = casewire_domain::WorkspaceId(Uuid::from_u128(1));

/// The database of one installation. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    connections: Connections,
    queue: Queue,
    transaction_timeout: Duration,
    rules: RulesCache,
    numbers: Numbers,
    mint: Box<dyn Fn() -> Uuid + Send + Sync>,
    clock: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl Store {
    /// Opens the database. It need not be up: every operation says when it is not.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        Ok(Self::over(connect::connect(config).await?, config))
    }

    /// As [`Store::open`]; `watch` is told of each statement, by its verb, and how long it took. Keep it quick.
    pub async fn open_watched(
        config: &Config,
        watch: impl Fn(&'static str, Duration) + Clone + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Ok(Self::over(connect::connect(config).await?.watched(watch), config))
    }

    fn over(connections: Connections, config: &Config) -> Self {
        Self {
            inner: Arc::new(Inner {
                connections,
                queue: Queue::default(),
                transaction_timeout: config.transaction_timeout,
                rules: RulesCache::default(),
                numbers: Numbers::default(),
                mint: Box::new(Uuid::now_v7),
                clock: Box::new(Utc::now),
            }),
        }
    }

    /// Closes every connection, once work in hand is done.
    pub async fn close(&self) {
        let Connections { writer, reader, batches } = self.inner.connections.clone();
        let batches = batches.map(|batches| batches.connections);
        for connections in batches.into_iter().chain([writer, reader]) {
            // Closing fails only where the other end is gone already.
            let _ = connections.close().await;
        }
    }
}
