//! Stream against database: each event that the stream's consumer has settled must have its row. One that has none was
//! passed over, and is handled now. What is verified and old leaves the stream, so that it never fills.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use casewire_bus::history::{Incarnation, ShardState, Start, Stored};
use casewire_bus::{ConsumeError, History};
use casewire_domain::DedupeId;
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_runtime::ops::Beat;
use casewire_store::{Error, StreamMark};
use chrono::{SecondsFormat, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::Sweepers;
use crate::metrics::STREAM;
use crate::reading;

/// Why a shard was not swept to its end. The next sweep goes on from where this one came to.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Retry later.
    #[error(transparent)]
    Stream(#[from] ConsumeError),
    /// Retry later.
    #[error(transparent)]
    Database(#[from] Error),
    /// Another worker took over: this one was too slow. Nothing is left to do.
    #[error("another worker sweeps this shard now")]
    TakenOver,
    /// A defect: whoever was handed events and said nothing against them did not keep them. A person must look.
    #[error("{0} events were handled and have no row")]
    NotKept(usize),
    /// The process ends.
    #[error("the process ends")]
    Stopped,
}

/// Sweeps every shard in its turn until told to stop.
pub(super) async fn run(sweepers: &Sweepers, history: &dyn History, beat: &Beat, stop: &CancellationToken) {
    let shards = sweepers.deps.stream.shards();
    let mut due: Vec<_> = (0..shards).map(|shard| (shard, Instant::now())).collect();
    while sweepers.rest(beat, stop).await {
        for (shard, at) in due.iter_mut().filter(|(_, at)| *at <= Instant::now()) {
            let sweep = Sweep { sweepers, history, shard: *shard, beat, stop };
            *at = Instant::now() + sweep.turn().await;
        }
    }
}

struct Sweep<'a> {
    sweepers: &'a Sweepers,
    history: &'a dyn History,
    shard: u32,
    beat: &'a Beat,
    stop: &'a CancellationToken,
}

/// What of a page could be verified.
struct Verified {
    /// Up to this place.
    through: u64,
    /// So many events of it were handled only now.
    rescued: usize,
    /// Whether it was all of the page.
    whole: bool,
}

impl Sweep<'_> {
    /// Sweeps the shard if its time has come and nobody else does. How long until the next look.
    async fn turn(&self) -> Duration {
        let interval = self.sweepers.settings.sweep_interval;
        match self.try_turn().await {
            Ok(next) => next,
            Err(Trouble::TakenOver | Trouble::Stopped) => interval,
            // The pipelines tell of it.
            Err(Trouble::Stream(ConsumeError::Unavailable | ConsumeError::Missing)) => {
                interval.min(self.sweepers.settings.retry_most)
            }
            Err(trouble) => {
                self.sweepers.metrics.sweeps.failed(STREAM);
                let shard = self.shard;
                tracing::warn!(
                    event = "sweep_failed",
                    shard,
                    %trouble,
                    "a shard cannot be compared with the database now"
                );
                interval.min(self.sweepers.settings.retry_most)
            }
        }
    }

    async fn try_turn(&self) -> Result<Duration, Trouble> {
        let interval = self.sweepers.settings.sweep_interval;
        let state = self.history.state(self.shard).await?;
        let mark = self.sweepers.records.stream_mark(&state.incarnation.stream, &life(&state)).await?;
        // Any worker's sweep counts.
        let since = mark.and_then(|mark| (Utc::now() - mark.swept_at).to_std().ok());
        if let Some(left) = since.and_then(|since| interval.checked_sub(since)).filter(|left| !left.is_zero())
        {
            return Ok(left);
        }
        if !self.lease().await? {
            return Ok(interval.min(self.sweepers.settings.sweep_lease));
        }
        let swept = self.sweep(&state, mark).await;
        self.sweepers.records.end_lease(&self.job(), self.sweepers.holder).await?;
        swept.map(|()| interval)
    }

    fn job(&self) -> String {
        format!("sweep stream {}", self.shard)
    }

    async fn lease(&self) -> Result<bool, Error> {
        self.beat.now();
        let Sweepers { records, holder, settings, .. } = self.sweepers;
        records.take_lease(&self.job(), *holder, settings.sweep_lease).await
    }

    async fn sweep(&self, state: &ShardState, mark: Option<StreamMark>) -> Result<(), Trouble> {
        let begun = Instant::now();
        let (verified, rescued) = self.verify_all(state, mark).await?;
        self.mark(state, verified, state.settled_through).await?;
        let stream = &state.incarnation.stream;
        let purged = self.purge(&state.incarnation, verified).await?;
        self.sweepers.metrics.sweeps.swept(STREAM, begun.elapsed());
        tracing::debug!(
            event = "swept",
            stream,
            verified,
            rescued,
            purged,
            "a shard was compared with the database"
        );
        Ok(())
    }

    /// Writes down how far this life of the stream is verified. Where it had another, its loss is written down with it,
    /// for whichever worker compares the lists next.
    async fn mark(&self, state: &ShardState, verified: u64, settled: u64) -> Result<(), Error> {
        let stream = &state.incarnation.stream;
        if self.sweepers.records.put_stream_mark(stream, &life(state), verified, settled).await? {
            tracing::error!(
                event = "stream_lost",
                stream,
                "the stream was made again: what it held is looked for on the provider's list"
            );
        }
        Ok(())
    }

    /// Goes through what is not verified yet, page by page. How far it came, and how many events had been passed over.
    async fn verify_all(
        &self,
        state: &ShardState,
        mark: Option<StreamMark>,
    ) -> Result<(u64, usize), Trouble> {
        let most = self.sweepers.settings.sweep_page.get() as usize;
        let patience = self.patience(state, mark);
        let settle = TimeDelta::from_std(self.sweepers.settings.sweep_settle).unwrap_or_default();
        let newest = Utc::now() - settle;
        let mut verified = mark.map_or(0, |mark| mark.verified);
        let mut rescued = 0;
        loop {
            if self.stop.is_cancelled() {
                return Err(Trouble::Stopped);
            }
            if !self.lease().await? {
                return Err(Trouble::TakenOver);
            }
            let mut page = self.history.read(self.shard, Start::At(verified + 1), most).await?;
            let full = page.len() == most;
            // What is younger is in work.
            page.retain(|event| event.stored_at <= newest);
            let Some(last) = page.last().map(|event| event.sequence) else { break };
            let whole_page = full && page.len() == most;
            let part = self.verify(page, state, patience).await?;
            verified = verified.max(part.through);
            rescued += part.rescued;
            if !part.whole || !whole_page || verified < last {
                break;
            }
        }
        Ok((verified, rescued))
    }

    /// How old an event must be that the consumer still owes before it is taken from it: a consumer that moves is
    /// never too late, and one that did not move since the last sweep has had its time.
    fn patience(&self, state: &ShardState, mark: Option<StreamMark>) -> Option<TimeDelta> {
        let settings = &self.sweepers.settings;
        let mark = mark.filter(|mark| mark.settled == state.settled_through)?;
        // After a longer pause, an outage of the database, nobody can have moved.
        let recent = (Utc::now() - mark.swept_at).to_std().is_ok_and(|age| age < settings.sweep_interval * 2);
        recent.then(|| TimeDelta::from_std(settings.sweep_patience).unwrap_or(TimeDelta::MAX))
    }

    /// Verifies events in their order, and handles those that were passed over. It ends at the first that the consumer
    /// still owes.
    async fn verify(
        &self,
        page: Vec<Stored>,
        state: &ShardState,
        patience: Option<TimeDelta>,
    ) -> Result<Verified, Trouble> {
        let known: Vec<(Stored, DedupeId)> = page
            .into_iter()
            .map(|event| {
                let id = id(&event);
                (event, id)
            })
            .collect();
        let missing = self.missing(known.iter().map(|(_, id)| id.clone()).collect()).await?;
        let now = Utc::now();
        let mut passed_over = Vec::new();
        let (mut through, mut whole) = (0, true);
        for (event, id) in &known {
            if missing.contains(id) {
                let overdue = patience.is_some_and(|patience| now - event.stored_at > patience);
                if event.sequence > state.settled_through && !overdue {
                    whole = false;
                    break;
                }
                passed_over.push((id.clone(), reading::kept(&event.event, now)));
            }
            through = event.sequence;
        }
        let rescued = self.rescue(passed_over).await?;
        Ok(Verified { through, rescued, whole })
    }

    async fn missing(&self, ids: Vec<DedupeId>) -> Result<HashSet<DedupeId>, Error> {
        Ok(self.sweepers.records.missing_events(&ids).await?.into_iter().collect())
    }

    /// Handles what was passed over; how many of it nobody else had handled meanwhile.
    async fn rescue(&self, passed_over: Vec<(DedupeId, Command)>) -> Result<usize, Trouble> {
        let (ids, commands): (Vec<_>, Vec<_>) = passed_over.into_iter().unzip();
        let mut rescued = 0;
        for commands in commands.chunks(self.sweepers.settings.batch_size.get() as usize) {
            let outcomes = self.sweepers.handle(commands.to_vec(), self.beat, self.stop).await?;
            rescued += outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Duplicate)).count();
            self.beat.now();
        }
        // They may be purged soon: nothing is believed that was not looked at.
        let lost = if ids.is_empty() { 0 } else { self.missing(ids).await?.len() };
        if lost > 0 {
            return Err(Trouble::NotKept(lost));
        }
        if rescued > 0 {
            self.sweepers.metrics.sweeps.rescued(STREAM, rescued);
            let shard = self.shard;
            tracing::error!(
                event = "sweeper_rescued",
                sweeper = STREAM,
                shard,
                rescued,
                "events were passed over by the stream's consumer and are handled now"
            );
        }
        Ok(rescued)
    }

    /// Erases what is verified, settled and old. How much that was.
    async fn purge(&self, incarnation: &Incarnation, verified: u64) -> Result<u64, Trouble> {
        let keep = TimeDelta::from_std(self.sweepers.keep).unwrap_or(TimeDelta::MAX);
        let Some(since) = Utc::now().checked_sub_signed(keep) else { return Ok(0) };
        let young = self.history.read(self.shard, Start::Since(since), 1).await?;
        let old = young.first().map_or(u64::MAX, |event| event.sequence - 1);
        // Right before: in another life of the stream the same places are other events.
        let state = self.history.state(self.shard).await?;
        if state.incarnation != *incarnation {
            return Ok(0);
        }
        let purged = self.history.purge(self.shard, verified.min(old).min(state.settled_through)).await?;
        self.sweepers.metrics.sweeps.purged(purged);
        let after = self.history.state(self.shard).await?;
        if after.incarnation != *incarnation {
            // While it was trimmed. Nothing of it is verified.
            self.mark(&after, 0, 0).await?;
        }
        Ok(purged)
    }
}

/// The name of one life of a stream, to the nanosecond that the server knows.
fn life(state: &ShardState) -> String {
    state.incarnation.created_at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn id(event: &Stored) -> DedupeId {
    match &event.event {
        Ok(event) => event.dedupe_id.clone(),
        Err(bytes) => reading::id_of_bytes(bytes),
    }
}
