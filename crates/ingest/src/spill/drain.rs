//! From the spill to the stream, one task a shard: oldest first, and many at once when the stream takes them.

use std::time::Duration;

use casewire_bus::{ConsumeError, Consumer, Delivery, PublishError, Published, Stream};
use casewire_domain::{DedupeId, Event, Source};
use casewire_runtime::ops::Beat;
use casewire_runtime::shutdown::Shutdown;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::Relief;

// None of these delays a text whose stream and disk are well: constants.

/// How long a look into an empty spill lasts; what arrives ends it at once.
const WAIT: Duration = Duration::from_secs(5);
/// Pause after the spill's own file failed: long enough not to flood the log.
const FILE_PAUSE: Duration = Duration::from_secs(1);
/// Longest the spill's file is waited for. A disk that hangs is no reason to end an ingest whose stream may be well, so
/// that a task does not hang with it: short enough to give signs of life.
const FILE_WAIT: Duration = Duration::from_secs(10);

/// One shard's way out of the spill.
pub(crate) struct Drain<'a> {
    pub(crate) relief: &'a Relief,
    pub(crate) stream: &'a dyn Stream,
    pub(crate) shard: u32,
    /// Events that leave at once.
    pub(crate) window: usize,
    /// Pause after a failure.
    pub(crate) pause: Duration,
    /// When an event comes again that the stream refused for its own sake, or that cannot be read. It lets the others
    /// pass meanwhile, and stays until it is taken.
    pub(crate) put_off: Duration,
    pub(crate) beat: Beat,
}

/// What becomes of an event that left, or did not.
enum Fate {
    /// The stream has it.
    Done,
    /// The stream does not do its part: it is the first to go again.
    Again,
    /// It is the event itself that does not go.
    PutOff,
}

/// What came of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// All that could be settled was, if there was anything.
    Went,
    /// The stream, or the spill's file, did not do its part.
    Failed,
}

impl Drain<'_> {
    /// Drains until the end is asked for, and finishes what it then has in hand. The rest stays: how much there is must
    /// not decide how long an end takes.
    pub(crate) async fn run(self, shutdown: &Shutdown) {
        let Some(mut consumer) = self.consumer(shutdown).await else { return };
        while !shutdown.is_requested() {
            self.beat.now();
            let taken = timeout(WAIT + FILE_WAIT, self.take(&mut *consumer, shutdown)).await;
            let round = match taken.unwrap_or(Err(ConsumeError::Unavailable)) {
                Ok(window) => self.bring(window).await,
                Err(error) => {
                    warn!(event = "spill_unreadable", %error, "the spill cannot be read");
                    self.relief.spill.failed();
                    Round::Failed
                }
            };
            if round == Round::Failed {
                let _ = shutdown.token().run_until_cancelled(sleep(self.pause)).await;
            }
        }
    }

    /// Takes a window; while the breaker is open one event, which probes it.
    async fn take(
        &self,
        consumer: &mut dyn Consumer,
        shutdown: &Shutdown,
    ) -> Result<Vec<Delivery>, ConsumeError> {
        let most = || if self.relief.is_open(self.shard) { 1 } else { self.window };
        let there = consumer.fetch(most(), Duration::ZERO).await?;
        if !there.is_empty() || shutdown.is_requested() {
            return Ok(there);
        }
        // What it may have in hand when it is cut short is free again at the next start.
        let waiting = consumer.fetch(most(), WAIT);
        shutdown.token().run_until_cancelled(waiting).await.unwrap_or_else(|| Ok(Vec::new()))
    }

    async fn consumer(&self, shutdown: &Shutdown) -> Option<Box<dyn Consumer>> {
        while !shutdown.is_requested() {
            self.beat.now();
            match self.relief.spill.file.consume(self.shard).await {
                Ok(consumer) => return Some(consumer),
                Err(error) => warn!(event = "spill_unreadable", %error, "the spill cannot be read"),
            }
            sleep(FILE_PAUSE).await;
        }
        None
    }

    /// Publishes a window in its order, all under way at once, and settles it.
    async fn bring(&self, window: Vec<Delivery>) -> Round {
        let answers = join_all(window.iter().map(|delivery| self.publish(delivery))).await;
        self.beat.now();
        let fates: Vec<_> =
            window.iter().zip(answers).map(|(delivery, answer)| self.fate(delivery, answer)).collect();
        let failed = fates.iter().any(|fate| matches!(fate, Fate::Again));
        // What could not be settled comes again after its wait, and is then a duplicate if the stream had it.
        let settled = timeout(FILE_WAIT, settle(window.into_iter().zip(fates), self.put_off));
        let _ = settled.await;
        if failed { Round::Failed } else { Round::Went }
    }

    /// What becomes of an event with this answer of the stream; `None` when it could not be read.
    fn fate(&self, delivery: &Delivery, answer: Option<Result<Published, PublishError>>) -> Fate {
        let why = match answer {
            Some(Ok(published)) if published.sequence > 0 => {
                self.relief.stored(self.shard);
                self.relief.metrics.drained(self.shard);
                return Fate::Done;
            }
            Some(Err(PublishError::Timeout | PublishError::Unavailable | PublishError::Full)) => {
                self.relief.failed(self.shard);
                return Fate::Again;
            }
            Some(Err(error)) => error.to_string(),
            Some(Ok(_)) => "the stream gave it no place".to_owned(),
            None => "it cannot be read by this version".to_owned(),
        };
        let id = delivery.event.as_ref().map(|event| &event.dedupe_id).ok();
        let id = id.map_or("unknown", DedupeId::as_str);
        error!(
            event = "spill_put_off",
            shard = self.shard,
            messaging.message.id = id,
            "an event stays in the spill: {why}"
        );
        self.relief.metrics.put_off(self.shard);
        Fate::PutOff
    }

    /// Publishes an event that can be read.
    async fn publish(&self, delivery: &Delivery) -> Option<Result<Published, PublishError>> {
        let event = delivery.event.as_ref().ok()?;
        let event = Event { source: Source::Spill, ..event.clone() };
        Some(self.stream.publish(&event, self.shard).await)
    }
}

/// Tells the spill what became of its events. Each is tried, whatever became of the others.
async fn settle(events: impl Iterator<Item = (Delivery, Fate)>, put_off: Duration) {
    for (delivery, fate) in events {
        let _ = match fate {
            Fate::Done => delivery.ack().await,
            Fate::Again => delivery.retry(Duration::ZERO).await,
            Fate::PutOff => delivery.retry(put_off).await,
        };
    }
}
