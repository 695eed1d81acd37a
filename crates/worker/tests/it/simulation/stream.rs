//! A stream in memory, with the promises of the real ones and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use casewire_bus::{
    Backlog, ConsumeError, Consumer, Delivery, NotSettled, PrepareError, PublishError, Published, Settle,
    Stream,
};
use casewire_domain::{DedupeId, Event};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::world::{Process, Safeguard, Weather, World};

/// How long an event is left to whoever took it.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// What the stream holds.
#[derive(Default)]
pub(crate) struct Shard {
    entries: BTreeMap<u64, Entry>,
    known: BTreeSet<DedupeId>,
    last: u64,
    pub(crate) arrived: Arc<Notify>,
}

struct Entry {
    event: Event,
    attempts: u64,
    /// Not handed out before this time.
    from: Option<Instant>,
}

impl Shard {
    /// Stores an event; one that is known only where its id is `forgotten`.
    pub(crate) fn publish(&mut self, event: Event, forgotten: bool) {
        if !self.known.insert(event.dedupe_id.clone()) && !forgotten {
            return;
        }
        self.last += 1;
        self.entries.insert(self.last, Entry { event, attempts: 0, from: None });
        self.arrived.notify_waiters();
    }

    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn take(&mut self, max: usize, now: Instant) -> Vec<(u64, u64, Event)> {
        let visible = self.entries.iter_mut().filter(|(_, entry)| entry.from.is_none_or(|from| from <= now));
        let taken = visible.take(max).map(|(sequence, entry)| {
            entry.attempts += 1;
            entry.from = Some(now + ACK_WAIT);
            (*sequence, entry.attempts, entry.event.clone())
        });
        taken.collect()
    }

    fn next_in(&self, now: Instant) -> Option<Duration> {
        self.entries.values().filter_map(|entry| entry.from).min().map(|from| from - now)
    }

    fn put_off(&mut self, sequence: u64, attempt: u64, by: Duration) {
        let entry = self.entries.get_mut(&sequence).filter(|entry| entry.attempts == attempt);
        if let Some(entry) = entry {
            entry.from = Some(Instant::now() + by);
        }
    }
}

/// The stream as one process sees it.
pub(crate) struct SimStream(pub(crate) Process);

#[async_trait]
impl Stream for SimStream {
    fn shards(&self) -> u32 {
        1
    }

    async fn prepare(&self) -> Result<(), PrepareError> {
        Ok(())
    }

    async fn publish(&self, _: &Event, _: u32) -> Result<Published, PublishError> {
        Err(PublishError::Unavailable)
    }

    async fn consume(&self, _: u32) -> Result<Box<dyn Consumer>, ConsumeError> {
        let asked = self.0.asks("consume", stream, |_| ()).await;
        asked.ok_or(ConsumeError::Unavailable)?;
        Ok(Box::new(SimConsumer(self.0.clone())))
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, ConsumeError> {
        Ok(Vec::new())
    }

    fn connected(&self) -> bool {
        true
    }
}

fn stream(weather: &Weather) -> u64 {
    weather.stream
}

struct SimConsumer(Process);

#[async_trait]
impl Consumer for SimConsumer {
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, ConsumeError> {
        let deadline = Instant::now() + wait;
        loop {
            let arrived = self.0.world.lock().shard.arrived.clone();
            let arrived = arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let taken = self.0.asks("fetch", stream, |world| fetch(world, max)).await;
            let (taken, next_in) = taken.ok_or(ConsumeError::Unavailable)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !taken.is_empty() || left.is_zero() {
                return Ok(taken.into_iter().map(|taken| self.delivery(taken)).collect());
            }
            // Over, or woken: it looks again.
            let _ = timeout(left.min(next_in.unwrap_or(left)), arrived).await;
        }
    }
}

type Taken = (Vec<(u64, u64, Event)>, Option<Duration>);

fn fetch(world: &mut World, max: usize) -> Taken {
    let now = Instant::now();
    let taken = world.shard.take(max, now);
    if world.lacks(Safeguard::AckAfterCommit) {
        taken.iter().for_each(|(sequence, ..)| drop(world.shard.entries.remove(sequence)));
    }
    (taken, world.shard.next_in(now))
}

impl SimConsumer {
    fn delivery(&self, (sequence, attempt, event): (u64, u64, Event)) -> Delivery {
        let receipt = Receipt { process: self.0.clone(), sequence, attempt };
        let raw = casewire_bus::encode(&event).into();
        Delivery::new(0, sequence, attempt, raw, Some(event.dedupe_id.as_str()), Box::new(receipt))
    }
}

struct Receipt {
    process: Process,
    sequence: u64,
    attempt: u64,
}

#[async_trait]
impl Settle for Receipt {
    async fn ack(self: Box<Self>) -> Result<(), NotSettled> {
        let done = self.process.asks("ack", stream, |world| world.shard.entries.remove(&self.sequence)).await;
        done.map(drop).ok_or(NotSettled)
    }

    async fn retry(self: Box<Self>, after: Duration) -> Result<(), NotSettled> {
        let put_off = |world: &mut World| {
            world.shard.put_off(self.sequence, self.attempt, after);
            world.shard.arrived.notify_waiters();
        };
        self.process.asks("retry", stream, put_off).await.ok_or(NotSettled)
    }

    async fn hold(&self) -> Result<(), NotSettled> {
        let put_off = |world: &mut World| world.shard.put_off(self.sequence, self.attempt, ACK_WAIT);
        self.process.asks("hold", stream, put_off).await.ok_or(NotSettled)
    }
}
