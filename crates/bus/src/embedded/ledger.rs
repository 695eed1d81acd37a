//! What the stream holds.

use sqlx::SqliteConnection;

use super::EmbeddedConfig;
use super::database;
use super::request::Publish;

/// What the writer knows without asking the file; taken over only when a transaction has committed.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    last_sequence: i64,
    /// Bytes held, by shard.
    held: Vec<u64>,
}

impl Ledger {
    pub(super) async fn read(connection: &mut SqliteConnection, shards: usize) -> sqlx::Result<Self> {
        let last_sequence = database::last_sequence(connection).await?;
        let mut ledger = Self { last_sequence, held: vec![0; shards] };
        for counted in database::count(connection).await? {
            *ledger.held(counted.backlog.shard) += counted.backlog.bytes;
        }
        Ok(ledger)
    }

    /// Bytes that a shard holds.
    pub(super) fn held(&mut self, shard: u32) -> &mut u64 {
        let index = usize::try_from(shard).unwrap_or(usize::MAX).min(self.held.len() - 1);
        &mut self.held[index]
    }

    /// Bytes that all shards hold.
    pub(super) fn total(&self) -> u64 {
        self.held.iter().fold(0, |total, held| total.saturating_add(*held))
    }

    /// How many shards there are.
    pub(super) fn shards(&self) -> usize {
        self.held.len()
    }

    /// The sequence of one more event, if there is room for it in its shard and in the file.
    pub(super) fn admit(&mut self, publish: &Publish, config: &EmbeddedConfig) -> Option<i64> {
        if self.total().saturating_add(publish.size()) > config.max_total_bytes {
            return None;
        }
        let held = self.held(publish.shard);
        *held = held.checked_add(publish.size()).filter(|held| *held <= config.max_bytes)?;
        self.last_sequence += 1;
        Some(self.last_sequence)
    }
}
