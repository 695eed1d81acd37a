//! What a stream keeps beyond its acknowledgement: read again in order, and trimmed.

use casewire_domain::Event;
use chrono::{DateTime, Utc};

use async_trait::async_trait;

use crate::{ConsumeError, Undecodable};

/// The past of a stream that keeps events after they were acknowledged, read without its durable consumer. What that
/// one forgot or passed over is still here.
#[async_trait]
pub trait History: Send + Sync {
    /// How a shard stands. Ask again right before a purge: sequences of another [`Incarnation`] mean other events.
    async fn state(&self, shard: u32) -> Result<ShardState, ConsumeError>;

    /// The first events from there on, in their order, at most `most`; none when there are none. What was erased is
    /// passed over. It takes nothing from any consumer.
    async fn read(&self, shard: u32, from: Start, most: usize) -> Result<Vec<Stored>, ConsumeError>;

    /// Erases every event up to and with this one; how many there were. It is final: only what is known to be handled
    /// may go. Never beyond [`ShardState::settled_through`]: what a consumer was owed takes one of its places for good
    /// (nats-server 2.9.10).
    async fn purge(&self, shard: u32, through: u64) -> Result<u64, ConsumeError>;
}

/// Where a reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this place, or the first one after it.
    At(u64),
    /// At the first event stored then or later.
    Since(DateTime<Utc>),
}

/// Which stream this is: one that was wiped and made again has the same name, begins at 1 again, and was created later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Its name.
    pub stream: String,
    /// When it was created, by the server's clock.
    pub created_at: DateTime<Utc>,
}

/// How a shard stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardState {
    /// Which stream it is.
    pub incarnation: Incarnation,
    /// The place of the last event ever stored; 0 when there was none.
    pub last_sequence: u64,
    /// Up to here the durable consumer owes nothing any more: each event was acknowledged, or passed over.
    pub settled_through: u64,
    /// The last event it has handed out to anybody.
    pub delivered_through: u64,
}

/// An event as it lies in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub sequence: u64,
    /// When it was stored, by the server's clock.
    pub stored_at: DateTime<Utc>,
    /// The event, or the bytes that are none.
    pub event: Result<Event, Undecodable>,
}
