//! What ingest and the workers know of a stream, whichever adapter is behind it.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use casewire_domain::Event;
use chrono::{DateTime, Utc};

use crate::{Delivery, History};

/// A durable stream of events in shards.
#[async_trait]
pub trait Stream: Send + Sync {
    /// How many shards there are; they are numbered from 0.
    fn shards(&self) -> u32;

    /// Creates what is missing of the stream, changes nothing that is there, and refuses a stream that is not set up as
    /// ours must be.
    /// Harmless at any time: workers call it at their start and whenever [`ConsumeError::Missing`] comes back.
    async fn prepare(&self) -> Result<(), PrepareError>;

    /// Stores an event, and returns when it is stored; within the configured bound (2.5 s), whatever happens.
    /// After an error the event may or may not be stored: try again under the same dedupe id, or tell the caller to.
    async fn publish(&self, event: &Event, shard: u32) -> Result<Published, PublishError>;

    /// The same stream with a connection for publishing that the calling thread serves by itself, for one that publishes
    /// much and has an executor of its own; it connects in the background. `None` where there is nothing to gain.
    async fn on_this_thread(&self) -> Option<Arc<dyn Stream>> {
        None
    }

    /// Takes part in the work of one shard, once it is there. Any number of consumers, in any number of processes,
    /// share it. A consumer goes on working after errors: it need not be made anew.
    async fn consume(&self, shard: u32) -> Result<Box<dyn Consumer>, ConsumeError>;

    /// How much there is to do and how full the stream is, one entry a shard.
    async fn backlog(&self) -> Result<Vec<Backlog>, ConsumeError>;

    /// Whether the stream can be reached, as far as is known at this moment.
    fn connected(&self) -> bool;

    /// Whether an event can be stored, as far as is known at this moment.
    fn takes(&self) -> bool {
        self.connected()
    }

    /// How often a connection was lost and made again, since the process began.
    fn reconnects(&self) -> u64 {
        0
    }

    /// What it keeps of events that were acknowledged. `None` for a stream that lets go of an event with its
    /// acknowledgement, which is then its only memory: there is nothing it could have passed over, and nothing to trim.
    fn history(&self) -> Option<&dyn History> {
        None
    }
}

/// One taker of a shard's work.
#[async_trait]
pub trait Consumer: Send {
    /// Waits up to `wait` for events and returns those that are there, at most `max`; none when none came. Every one
    /// is then ours for the acknowledgement wait (30 s) and comes again, to whoever asks, unless it is settled by then.
    /// Within `wait` those who publish very much may go first.
    ///
    /// A fetch that is dropped half-way may leave events in that same state, handed out to nobody.
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, ConsumeError>;
}

/// An event is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place in the stream, above 0. Of a duplicate: the place of the first.
    pub sequence: u64,
    /// Whether it was there already, under the same dedupe id. Where an answer got lost it may have been stored just now.
    pub duplicate: bool,
}

/// The event is not known to be stored. Every variant may be tried again with the same dedupe id; who cannot wait
/// for that answers 503.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No answer in time. It may be stored.
    #[error("the stream did not answer in time")]
    Timeout,
    /// No connection, or no such stream yet.
    #[error("the stream cannot be reached")]
    Unavailable,
    /// The stream, or its server, holds all it may. Goes away when work is done or the limit is raised.
    #[error("the stream is full")]
    Full,
    /// The stream refused this event: too large, say. Trying again helps only if the reason is mended.
    #[error("the stream refused the event: {0}")]
    Rejected(String),
}

/// Nothing could be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// No connection, or no answer. Try again.
    #[error("the stream cannot be reached")]
    Unavailable,
    /// The stream or its consumer does not exist (any more). [`Stream::prepare`], then try again.
    #[error("the stream or its consumer does not exist")]
    Missing,
    /// Something else the stream had to say. Try again; a person should look if it stays.
    #[error("the stream cannot be read: {0}")]
    Failed(String),
}

/// The stream could not be made ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// No connection, or no answer. Try again.
    #[error("the stream cannot be reached")]
    Unavailable,
    /// The server said no: not enough room for what is configured, say. A person must act.
    #[error("the stream cannot be created or changed: {0}")]
    Refused(String),
    /// What is there differs from what is configured, and was left as it is. A person must decide which of the two is
    /// right; trying again helps only then, or once less is held than a lowered limit allows.
    #[error("the stream is not set up as configured; change the one or the other: {}", Difference::joined(.0))]
    Drift(Vec<Difference>),
}

/// One thing that is not as configured, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not there. [`Stream::prepare`] creates it.
    Missing(String),
    /// A limit that may change while events are held: [`JetStream::migrate`](crate::JetStream::migrate) changes it
    /// where nothing else differs.
    Limit(String),
    /// Anything else, which nobody changes but a person.
    Other(String),
}

impl Difference {
    pub(crate) fn missing(what: &str) -> Self {
        Self::Missing(format!("{what} does not exist"))
    }

    /// All of them in a row.
    pub fn joined(differences: &[Self]) -> String {
        differences.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Self::Missing(what) | Self::Limit(what) | Self::Other(what)) = self;
        f.write_str(what)
    }
}

/// How one shard stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Which.
    pub shard: u32,
    /// Events never delivered yet.
    pub pending: u64,
    /// Events delivered and not acknowledged yet, those waiting for a retry among them.
    pub ack_pending: u64,
    /// Of these, events delivered more than once.
    pub redelivered: u64,
    /// Events held, in work or not.
    pub messages: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes beyond which the stream refuses.
    pub limit_bytes: u64,
    /// When the oldest event that is not acknowledged was stored; `None` when there is none.
    pub oldest_at: Option<DateTime<Utc>>,
}
