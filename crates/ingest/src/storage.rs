//! Where events are stored: on the stream, or in the spill while the stream does not take them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use casewire_bus::{PublishError, Stream};
use casewire_domain::Event;
use tokio::time::timeout;
use tracing::{Span, warn};

use crate::metrics::Outcome;
use crate::reach::Reach;
use crate::spill::Relief;
use crate::tally::Tally;

/// Stream and spill.
pub(crate) struct Storage {
    pub(crate) stream: Arc<dyn Stream>,
    pub(crate) relief: Option<Relief>,
    pub(crate) reach: Reach,
}

/// An event is stored, and a crash loses it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The stream has it.
    New,
    /// The stream had it before.
    Before,
    /// The spill has it.
    Spilled,
}

impl Stored {
    /// What it counts as.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::New => Outcome::Accepted,
            Self::Before => Outcome::Duplicate,
            Self::Spilled => Outcome::Spilled,
        }
    }
}

/// How an event goes.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    /// The stream, as it is best reached from here.
    pub(crate) stream: &'a dyn Stream,
    pub(crate) shard: u32,
    /// Whose work it is.
    pub(crate) span: &'a Span,
    /// Where it is counted.
    pub(crate) tally: &'a Tally,
}

impl Storage {
    pub(crate) fn shards(&self) -> u32 {
        self.stream.shards()
    }

    /// Stores an event, within the stream's patience and the spill's. After an error it may be stored all the same.
    pub(crate) async fn store(&self, event: &Event, way: &Way<'_>) -> Result<Stored, PublishError> {
        let Some(relief) = &self.relief else { return self.publish(event, way).await };
        let shard = way.shard;
        let spill_first = relief.is_open(shard);
        if spill_first && relief.keep(event, shard).await.is_ok() {
            return Ok(Stored::Spilled);
        }
        // With no room in the spill there is still the chance that the stream is back.
        let error = match self.publish_within(relief.patience, event, way).await {
            Ok(stored) => {
                relief.stored(shard);
                return Ok(stored);
            }
            Err(error) => error,
        };
        // What is refused for its own sake says nothing of others. It is kept like them: the provider would give it
        // up within seconds, and here it stays until somebody has mended the reason.
        if !matches!(error, PublishError::Rejected(_)) {
            relief.failed(shard);
        }
        if spill_first {
            return Err(error);
        }
        match relief.keep(event, shard).await {
            Ok(()) => Ok(Stored::Spilled),
            Err(reason) => {
                warn!(parent: way.span, event = "not_spilled", reason = reason.as_str(), "the spill did not take an event");
                Err(error)
            }
        }
    }

    async fn publish_within(
        &self,
        patience: Duration,
        event: &Event,
        way: &Way<'_>,
    ) -> Result<Stored, PublishError> {
        let published = timeout(patience, self.publish(event, way)).await;
        published.unwrap_or_else(|_| {
            way.tally.not_stored(way.shard, &PublishError::Timeout);
            Err(PublishError::Timeout)
        })
    }

    async fn publish(&self, event: &Event, way: &Way<'_>) -> Result<Stored, PublishError> {
        let started = Instant::now();
        match way.stream.publish(event, way.shard).await {
            Ok(published) if published.sequence > 0 => {
                way.tally.stored(way.shard, started.elapsed(), event.trace.as_ref());
                self.reach.reached();
                Ok(if published.duplicate { Stored::Before } else { Stored::New })
            }
            outcome => {
                // Some servers acknowledge a duplicate of what they never stored: it has no place in the stream.
                let error = outcome.err().unwrap_or(PublishError::Rejected("it has no sequence".to_owned()));
                way.tally.not_stored(way.shard, &error);
                Err(error)
            }
        }
    }

    /// Whether texts can be stored, as far as is known: on a stream that is not away for too long, or in the spill.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        let reached = self.reach.observe(self.stream.connected(), Instant::now());
        match &self.relief {
            Some(relief) if relief.spill.is_taking() => Ok(()),
            _ => reached,
        }
    }
}
