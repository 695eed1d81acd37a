//! The one task that owns the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, watch};

use super::clock::{Clock, millis};
use super::database::{self, Extent};
use super::known::KnownIds;
use super::ledger::Ledger;
use super::request::{Copy, Group, Handed, Lease, Outcome, Publish, Request};
use super::rush::Gauge;
use super::{EmbeddedConfig, Standing};
use crate::{Backlog, PublishError, Published};

/// What the writer tells others.
#[derive(Debug)]
pub(super) struct Told {
    /// That there may be something new to fetch, by shard.
    pub(super) arrivals: Arc<[watch::Sender<()>]>,
    /// Whether the last transaction was committed.
    pub(super) writing: Arc<AtomicBool>,
    /// That very much is new.
    pub(super) gauge: Gauge,
}

/// Owner of the file.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    requests: mpsc::Receiver<Request>,
    told: Told,
    config: EmbeddedConfig,
    clock: Clock,
    ledger: Ledger,
    known: KnownIds,
    /// Whether commits are brought to the disk now.
    syncing: bool,
}

impl Writer {
    pub(super) async fn new(
        mut connection: SqliteConnection,
        requests: mpsc::Receiver<Request>,
        told: Told,
        config: EmbeddedConfig,
        clock: Clock,
        mut known: KnownIds,
    ) -> sqlx::Result<Self> {
        let ledger = Ledger::read(&mut connection, told.arrivals.len()).await?;
        known.read(&mut connection, config.expired(clock.now())).await?;
        Ok(Self { connection, requests, told, config, clock, ledger, known, syncing: true })
    }

    /// Serves until it is closed or nobody is left to ask.
    pub(super) async fn run(mut self) {
        let mut requests = Vec::with_capacity(self.config.group);
        let mut close = None;
        while close.is_none() && self.requests.recv_many(&mut requests, self.config.group.max(1)).await > 0 {
            let mut group = Group::of(&mut requests);
            close = group.close.take();
            let copies = std::mem::take(&mut group.copies);
            let outcome = self.commit(&group).await;
            if outcome.is_err() {
                self.look_again().await;
            }
            let touched: Vec<_> = group.touched().collect();
            group.answer(outcome);
            self.wake(&touched);
            for Copy { to, reply } in copies {
                // Who asked may have stopped waiting.
                let _ = reply.send(database::copy(&mut self.connection, &to).await);
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the embedded stream's file did not close cleanly");
        }
        if let Some(reply) = close {
            let _ = reply.send(());
        }
    }

    fn wake(&self, shards: &[u32]) {
        for (shard, arrivals) in (0_u32..).zip(self.told.arrivals.iter()) {
            if shards.contains(&shard) {
                arrivals.send_replace(());
            }
        }
    }

    /// A commit that failed may be in the file all the same: ledger and ids must be what the file says.
    async fn look_again(&mut self) {
        if let Err(error) = self.read_again().await {
            tracing::warn!(%error, "the embedded stream's file cannot be read");
        }
    }

    /// The ids first: where they cannot be read the ledger stays behind too, and the next group fails on a sequence that
    /// is there already. With the ledger alone it would store an id twice.
    async fn read_again(&mut self) -> sqlx::Result<()> {
        let expired = self.config.expired(self.clock.now());
        self.known.read(&mut self.connection, expired).await?;
        self.ledger = Ledger::read(&mut self.connection, self.told.arrivals.len()).await?;
        Ok(())
    }

    /// One transaction, in statements of our own: the client would go on counting one that SQLite ended by itself,
    /// as it does when the disk is full, and begin no other. New events alone, as in a flood, go to SQLite's thread with
    /// their `begin` and `commit`: each way there and back waits for a core.
    async fn commit(&mut self, group: &Group) -> sqlx::Result<Outcome> {
        let committed = self.try_commit(group).await;
        if committed.is_err() {
            // It fails where there is no transaction any more, which is what was wanted.
            let _ = self.execute("rollback").await;
        }
        self.tell(&committed);
        committed
    }

    fn tell(&mut self, committed: &sqlx::Result<Outcome>) {
        self.told.writing.store(committed.is_ok(), Ordering::Relaxed);
        // What waits must not fill the stream because nobody was let at it.
        if let Ok(outcome) = committed
            && self.ledger.total() < self.config.rush_backlog()
        {
            self.told.gauge.stored(outcome.stored());
        }
    }

    async fn try_commit(&mut self, group: &Group) -> sqlx::Result<Outcome> {
        self.sync(group.lasts()).await?;
        let suspects = self.known.suspects(group.publishes.iter().map(|publish| publish.dedupe_id.as_str()));
        let extent = if group.only_publishes() && suspects.is_empty() { Extent::Whole } else { Extent::Part };
        if extent == Extent::Part {
            self.execute("begin immediate").await?;
        }
        let now = self.clock.now();
        let mut step = Step {
            connection: &mut self.connection,
            config: &self.config,
            now,
            ledger: self.ledger.clone(),
            known: &self.known,
            suspects,
            extent,
            new_ids: Vec::new(),
        };
        let outcome = step.apply(group).await?;
        let Step { ledger, new_ids, .. } = step;
        if extent == Extent::Part {
            self.execute("commit").await?;
        }
        self.ledger = ledger;
        self.known.learn(&new_ids, now, self.config.expired(now));
        Ok(outcome)
    }

    /// Whether the commits from now on are brought to the disk, and with them all those before that were not.
    async fn sync(&mut self, syncing: bool) -> sqlx::Result<()> {
        if self.syncing != syncing {
            let level = if syncing { "pragma synchronous = full" } else { "pragma synchronous = normal" };
            self.execute(level).await?;
            self.syncing = syncing;
        }
        Ok(())
    }

    async fn execute(&mut self, statement: &'static str) -> sqlx::Result<()> {
        sqlx::query(statement).execute(&mut self.connection).await.map(|_| ())
    }
}

/// One transaction under way.
struct Step<'a> {
    connection: &'a mut SqliteConnection,
    config: &'a EmbeddedConfig,
    now: i64,
    ledger: Ledger,
    known: &'a KnownIds,
    /// Sequences under which ids of the group may be stored.
    suspects: Vec<i64>,
    extent: Extent,
    /// Hashes and sequences of the ids it stores.
    new_ids: Vec<(u64, i64)>,
}

impl Step<'_> {
    async fn apply(&mut self, group: &Group) -> sqlx::Result<Outcome> {
        let mut outcome = Outcome::default();
        self.remove(&group.acks).await?;
        for retry in &group.retries {
            let until = self.in_future(retry.after);
            // To be had again at once is not put off: whoever had it stood in its way, not the event itself.
            let put_off = !retry.after.is_zero();
            database::free(self.connection, retry.sequence, retry.attempt, until, put_off).await?;
        }
        for hold in &group.holds {
            let until = self.in_future(self.config.ack_wait);
            database::hold(self.connection, hold.sequence, hold.attempt, until).await?;
        }
        outcome.published = self.publish(&group.publishes).await?;
        for lease in &group.leases {
            outcome.handed.push(self.lease(lease).await?);
        }
        if !group.counts.is_empty() {
            outcome.standing = self.count().await?;
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

    async fn publish(&mut self, publishes: &[Publish]) -> sqlx::Result<Vec<Result<Published, PublishError>>> {
        if publishes.is_empty() {
            return Ok(Vec::new());
        }
        let stored = self.stored().await?;
        let mut known: HashMap<_, _> = stored.iter().map(|(id, sequence)| (id.as_str(), *sequence)).collect();
        let mut new = Vec::new();
        let published = publishes.iter().map(|publish| {
            // What is stored already needs no room: its publisher is told so even when the stream is full.
            if let Some(first) = known.get(publish.dedupe_id.as_str()) {
                return Ok(Published { sequence: first.cast_unsigned(), duplicate: true });
            }
            let sequence = self.ledger.admit(publish, self.config).ok_or(PublishError::Full)?;
            known.insert(&publish.dedupe_id, sequence);
            new.push((sequence, publish));
            Ok(Published { sequence: sequence.cast_unsigned(), duplicate: false })
        });
        let published = published.collect();
        if let Some((first_new, _)) = new.first() {
            let first_known = self.known.first().unwrap_or(*first_new);
            database::store(self.connection, &new, self.now, first_known, self.extent).await?;
        }
        let hashed = |(sequence, publish): &(i64, &Publish)| (self.known.hash(&publish.dedupe_id), *sequence);
        self.new_ids = new.iter().map(hashed).collect();
        Ok(published)
    }

    /// Ids that are stored, with their sequences; those of the group among them.
    async fn stored(&mut self) -> sqlx::Result<Vec<(String, i64)>> {
        if self.suspects.is_empty() {
            return Ok(Vec::new());
        }
        database::ids_of(self.connection, &self.suspects, self.config.expired(self.now)).await
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

    async fn count(&mut self) -> sqlx::Result<Standing> {
        let counted = database::count(self.connection).await?;
        let put_off = counted.iter().map(|shard| shard.put_off).sum();
        let oldest = counted.iter().filter_map(|shard| shard.waiting_since).min();
        let waiting = oldest.map(|at| Duration::from_millis((self.now - at).max(0).cast_unsigned()));
        let of = |shard| counted.iter().find(|counted| counted.backlog.shard == shard);
        let shards = (0_u32..).take(self.ledger.shards()).map(|shard| {
            let counted = of(shard).map(|counted| counted.backlog.clone()).unwrap_or_default();
            Backlog { shard, limit_bytes: self.config.max_bytes, ..counted }
        });
        Ok(Standing { shards: shards.collect(), put_off, waiting })
    }

    fn in_future(&self, wait: Duration) -> i64 {
        self.now.saturating_add(millis(wait))
    }
}

#[cfg(test)]
mod tests;
