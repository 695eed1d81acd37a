//! The one task that owns the file.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};

use super::EmbeddedConfig;
use super::database::{self, Leased};
use crate::{Backlog, ConsumeError, PublishError, Published};

/// What an entry takes in the file beside its payload and its id, roughly.
const OVERHEAD_BYTES: u64 = 100;

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Request {
    Publish(Publish),
    Lease(Lease),
    Ack(i64),
    Retry(Retry),
    Count(oneshot::Sender<Result<Vec<Backlog>, ConsumeError>>),
    Close(oneshot::Sender<()>),
}

/// Store this.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) shard: u32,
    pub(super) dedupe_id: String,
    pub(super) payload: Vec<u8>,
    pub(super) reply: oneshot::Sender<Result<Published, PublishError>>,
}

impl Publish {
    /// Bytes it takes.
    pub(super) fn size(&self) -> u64 {
        let bytes = self.payload.len().saturating_add(self.dedupe_id.len());
        u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(OVERHEAD_BYTES)
    }
}

/// Hand out up to `max` entries.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) shard: u32,
    pub(super) max: usize,
    pub(super) reply: oneshot::Sender<Result<Handed, ConsumeError>>,
}

/// What was handed out, and if that was nothing: in how long there may be something.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) entries: Vec<Leased>,
    pub(super) next_in: Option<Duration>,
}

/// Put this entry off.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) shard: u32,
    pub(super) sequence: i64,
    pub(super) attempt: i64,
    pub(super) after: Duration,
}

/// Requests of one transaction, by kind. Removals come first, to make room; leases after what they may find.
#[derive(Debug, Default)]
struct Group {
    acks: Vec<i64>,
    retries: Vec<Retry>,
    publishes: Vec<Publish>,
    leases: Vec<Lease>,
    counts: Vec<oneshot::Sender<Result<Vec<Backlog>, ConsumeError>>>,
    close: Option<oneshot::Sender<()>>,
}

impl Group {
    fn of(requests: &mut Vec<Request>) -> Self {
        let mut group = Self::default();
        for request in requests.drain(..) {
            match request {
                Request::Ack(sequence) => group.acks.push(sequence),
                Request::Retry(retry) => group.retries.push(retry),
                Request::Publish(publish) => group.publishes.push(publish),
                Request::Lease(lease) => group.leases.push(lease),
                Request::Count(reply) => group.counts.push(reply),
                Request::Close(reply) => group.close = Some(reply),
            }
        }
        group
    }

    /// The shards in which there may be something new to fetch afterwards.
    fn touched(&self) -> impl Iterator<Item = u32> {
        let retried = self.retries.iter().map(|retry| retry.shard);
        retried.chain(self.publishes.iter().map(|publish| publish.shard))
    }

    fn answer(self, outcome: Result<Outcome, sqlx::Error>) {
        match outcome {
            Ok(outcome) => self.answer_all(outcome),
            Err(error) => self.refuse_all(&error),
        }
    }

    // Who asked may have stopped waiting; that is no concern of the writer.
    fn answer_all(self, outcome: Outcome) {
        for (publish, published) in self.publishes.into_iter().zip(outcome.published) {
            let _ = publish.reply.send(published);
        }
        for (lease, handed) in self.leases.into_iter().zip(outcome.handed) {
            let _ = lease.reply.send(Ok(handed));
        }
        for reply in self.counts {
            let _ = reply.send(Ok(outcome.backlog.clone()));
        }
    }

    fn refuse_all(self, error: &sqlx::Error) {
        tracing::error!(%error, "the embedded stream could not write; nothing of this group is stored");
        let refusal = if database::no_room(error) { PublishError::Full } else { PublishError::Unavailable };
        for publish in self.publishes {
            let _ = publish.reply.send(Err(refusal.clone()));
        }
        for lease in self.leases {
            let _ = lease.reply.send(Err(ConsumeError::Unavailable));
        }
        for reply in self.counts {
            let _ = reply.send(Err(ConsumeError::Unavailable));
        }
    }
}

/// What became of a group, in its order.
#[derive(Debug, Default)]
struct Outcome {
    published: Vec<Result<Published, PublishError>>,
    handed: Vec<Handed>,
    backlog: Vec<Backlog>,
}

/// What the writer knows without asking the file; taken over only when a transaction has committed.
#[derive(Clone, Debug)]
struct Ledger {
    last_sequence: i64,
    /// Bytes held, by shard.
    held: Vec<u64>,
}

impl Ledger {
    fn held(&mut self, shard: u32) -> &mut u64 {
        let index = usize::try_from(shard).unwrap_or(usize::MAX).min(self.held.len() - 1);
        &mut self.held[index]
    }
}

/// Owner of the file.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    requests: mpsc::Receiver<Request>,
    arrivals: Arc<[watch::Sender<()>]>,
    config: EmbeddedConfig,
    clock: Clock,
    ledger: Ledger,
}

impl Writer {
    pub(super) async fn new(
        mut connection: SqliteConnection,
        requests: mpsc::Receiver<Request>,
        arrivals: Arc<[watch::Sender<()>]>,
        config: EmbeddedConfig,
    ) -> sqlx::Result<Self> {
        let last_sequence = database::last_sequence(&mut connection).await?;
        let mut ledger = Ledger { last_sequence, held: vec![0; arrivals.len()] };
        for shard in database::count(&mut connection).await? {
            *ledger.held(shard.shard) += shard.bytes;
        }
        Ok(Self { connection, requests, arrivals, config, clock: Clock::start(), ledger })
    }

    /// Serves until it is closed or nobody is left to ask.
    pub(super) async fn run(mut self) {
        let mut requests = Vec::with_capacity(self.config.group);
        let mut close = None;
        while close.is_none() && self.requests.recv_many(&mut requests, self.config.group.max(1)).await > 0 {
            let mut group = Group::of(&mut requests);
            close = group.close.take();
            let outcome = self.commit(&group).await;
            let touched: Vec<_> = group.touched().collect();
            group.answer(outcome);
            self.wake(&touched);
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the embedded stream's file did not close cleanly");
        }
        if let Some(reply) = close {
            let _ = reply.send(());
        }
    }

    fn wake(&self, shards: &[u32]) {
        for (shard, arrivals) in (0_u32..).zip(self.arrivals.iter()) {
            if shards.contains(&shard) {
                arrivals.send_replace(());
            }
        }
    }

    async fn commit(&mut self, group: &Group) -> sqlx::Result<Outcome> {
        let mut tx = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut step = Step {
            connection: &mut tx,
            config: &self.config,
            now: self.clock.now(),
            ledger: self.ledger.clone(),
        };
        let outcome = step.apply(group).await?;
        let ledger = step.ledger;
        tx.commit().await?;
        self.ledger = ledger;
        Ok(outcome)
    }
}

/// One transaction under way.
struct Step<'a> {
    connection: &'a mut SqliteConnection,
    config: &'a EmbeddedConfig,
    now: i64,
    ledger: Ledger,
}

impl Step<'_> {
    async fn apply(&mut self, group: &Group) -> sqlx::Result<Outcome> {
        let mut outcome = Outcome::default();
        self.remove(&group.acks).await?;
        for retry in &group.retries {
            let until = self.in_future(retry.after);
            database::put_off(self.connection, retry.sequence, retry.attempt, until).await?;
        }
        for publish in &group.publishes {
            outcome.published.push(self.publish(publish).await?);
        }
        self.forget(group.publishes.len()).await?;
        for lease in &group.leases {
            outcome.handed.push(self.lease(lease).await?);
        }
        if !group.counts.is_empty() {
            outcome.backlog = self.count().await?;
        }
        Ok(outcome)
    }

    async fn remove(&mut self, sequences: &[i64]) -> sqlx::Result<()> {
        if sequences.is_empty() {
            return Ok(());
        }
        for (shard, size) in database::remove(self.connection, sequences).await? {
            let held = self.ledger.held(shard);
            *held = held.saturating_sub(size.cast_unsigned());
        }
        Ok(())
    }

    async fn publish(&mut self, publish: &Publish) -> sqlx::Result<Result<Published, PublishError>> {
        let expired = self.expired();
        if self.ledger.held(publish.shard).saturating_add(publish.size()) > self.config.max_bytes {
            // What is stored already needs no room: its publisher may be told so.
            let first = database::remembered(self.connection, &publish.dedupe_id, expired).await?;
            return Ok(first.map(duplicate_of).ok_or(PublishError::Full));
        }
        let sequence = self.ledger.last_sequence + 1;
        let remembered =
            database::remember(self.connection, &publish.dedupe_id, sequence, self.now, expired).await?;
        if let Err(first) = remembered {
            return Ok(Ok(duplicate_of(first)));
        }
        database::store(self.connection, sequence, publish, self.now).await?;
        self.ledger.last_sequence = sequence;
        *self.ledger.held(publish.shard) += publish.size();
        Ok(Ok(Published { sequence: sequence.cast_unsigned(), duplicate: false }))
    }

    /// Forgets ids at twice the rate at which new ones come, so that they never pile up and no group is slow.
    async fn forget(&mut self, publishes: usize) -> sqlx::Result<()> {
        if publishes == 0 {
            return Ok(());
        }
        let limit = i64::try_from(publishes).unwrap_or(i64::MAX).saturating_mul(2);
        database::forget(self.connection, self.expired(), limit).await
    }

    async fn lease(&mut self, lease: &Lease) -> sqlx::Result<Handed> {
        let max = i64::try_from(lease.max).unwrap_or(i64::MAX);
        let until = self.in_future(self.config.ack_wait);
        let entries = database::lease(self.connection, lease.shard, max, self.now, until).await?;
        if !entries.is_empty() {
            return Ok(Handed { entries, next_in: None });
        }
        let next = database::next_visible(self.connection, lease.shard).await?;
        let next_in = next.map(|next| Duration::from_millis((next - self.now).max(0).cast_unsigned()));
        Ok(Handed { entries, next_in })
    }

    async fn count(&mut self) -> sqlx::Result<Vec<Backlog>> {
        let counted = database::count(self.connection).await?;
        let shards = (0_u32..).take(self.ledger.held.len());
        let backlog = shards.map(|shard| {
            let counted = counted.iter().find(|backlog| backlog.shard == shard).cloned().unwrap_or_default();
            Backlog { shard, limit_bytes: self.config.max_bytes, ..counted }
        });
        Ok(backlog.collect())
    }

    /// Ids stored up to this moment are forgotten.
    fn expired(&self) -> i64 {
        self.now.saturating_sub(millis(self.config.duplicate_window))
    }

    fn in_future(&self, wait: Duration) -> i64 {
        self.now.saturating_add(millis(wait))
    }
}

fn duplicate_of(first: i64) -> Published {
    Published { sequence: first.cast_unsigned(), duplicate: true }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The time of day at the start, and from then on a clock that nobody sets: leases and windows keep their length
/// when the machine's time jumps.
#[derive(Debug)]
struct Clock {
    started_at: i64,
    started: Instant,
}

impl Clock {
    fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_at: millis(since_1970), started: Instant::now() }
    }

    fn now(&self) -> i64 {
        self.started_at.saturating_add(millis(self.started.elapsed()))
    }
}
