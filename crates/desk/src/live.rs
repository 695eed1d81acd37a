//! Following the trail. One reader of the database serves every open page: it asks each second, and at once
//! when something here changed a case, and passes on what is new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use casewire_runtime::shutdown::Shutdown;
use casewire_store::view::TrailView;
use casewire_store::{Error, Store};
use chrono::Utc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::problem::Problem;

/// The bounds of live pages.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How often the trail is read without a hint. A second: what other processes do shows that fast.
    pub poll: Duration,
    /// How long an id may be taken before its entry can be seen, since transactions commit out of order.
    /// Thirty seconds: `database.transaction_timeout`, after which none of ours lives, and half of it again.
    pub tail: Duration,
    /// The same in ids, for a client that reconnects.
    pub tail_ids: i64,
    /// Ids that are looked for again, because they were taken and their entries not seen yet. Thirty thousand: what
    /// thirty workers write in a batch each.
    pub gaps: usize,
    /// Entries read at once.
    pub batch: u64,
    /// Entries kept for a client that is slow; one slower than that catches up from the database.
    pub buffer: usize,
    /// Silence after which a comment is sent: proxies cut connections that are silent for a minute, some for 30 s.
    pub heartbeat: Duration,
    /// How long a client waits before it reconnects.
    pub reconnect_after: Duration,
    /// After this long a connection ends, and who comes again has the token looked at anew.
    pub connection_life: Duration,
    /// Open connections. Each is a socket and a task: a thousand pages are more than a desk has people.
    pub connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            tail: Duration::from_secs(30),
            tail_ids: 200,
            gaps: 30_000,
            batch: 500,
            buffer: 1024,
            heartbeat: Duration::from_secs(15),
            reconnect_after: Duration::from_secs(1),
            connection_life: Duration::from_secs(15 * 60),
            connections: 1000,
        }
    }
}

/// The trail as it grows.
pub(crate) struct Live {
    store: Store,
    shutdown: Shutdown,
    bounds: Bounds,
    news: broadcast::Sender<Arc<TrailView>>,
    hint: Notify,
    queued: Option<Arc<Notify>>,
    places: Arc<Semaphore>,
    metrics: Metrics,
}

impl Live {
    pub(crate) fn new(
        store: Store,
        shutdown: Shutdown,
        bounds: Bounds,
        queued: Option<Arc<Notify>>,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            shutdown,
            bounds,
            news: broadcast::channel(bounds.buffer).0,
            hint: Notify::new(),
            queued,
            places: Arc::new(Semaphore::new(bounds.connections)),
            metrics,
        }
    }

    /// What the desk counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sets how many pages are open.
    pub(crate) fn show(&self) {
        let open = self.bounds.connections.saturating_sub(self.places.available_permits());
        self.metrics.live.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Something changed: read now.
    pub(crate) fn hint(&self) {
        self.hint.notify_one();
    }

    /// A reply was queued: read now, and let the sender look.
    pub(crate) fn queued(&self) {
        self.hint();
        if let Some(queued) = &self.queued {
            queued.notify_one();
        }
    }

    /// Resolves when live pages must end.
    pub(crate) async fn ended(&self) {
        self.shutdown.requested().await;
    }

    /// Reads the trail until shutdown. While the database is away it goes on asking.
    pub(crate) async fn run(&self) {
        let mut tail: Option<Tail> = None;
        while !self.shutdown.is_requested() {
            if let Err(error) = self.read(&mut tail).await {
                tracing::warn!(event = "trail_unread", %error, "live pages wait for the database");
            }
            tokio::select! {
                () = tokio::time::sleep(self.bounds.poll) => {}
                () = self.hint.notified() => {}
                () = self.shutdown.requested() => {}
            }
        }
    }

    async fn read(&self, tail: &mut Option<Tail>) -> Result<(), Error> {
        let tail = match tail {
            Some(tail) => tail,
            None => tail.insert(Tail::at(self.store.trail_end().await?)),
        };
        // Before anything that can fail: gaps that cannot be asked for must not stay.
        tail.forget(Instant::now(), self.bounds.tail);
        let late = self.store.trail_at(&tail.gaps()).await?;
        self.push(tail, late);
        loop {
            let entries = self.store.trail_since(tail.newest, self.bounds.batch).await?;
            let full = entries.len() as u64 >= self.bounds.batch;
            self.push(tail, entries);
            if !full {
                return Ok(());
            }
        }
    }

    fn push(&self, tail: &mut Tail, entries: Vec<TrailView>) {
        for entry in entries {
            tail.seen(entry.id, Instant::now(), self.bounds.gaps);
            self.metrics.pushed((Utc::now() - entry.at).to_std().unwrap_or_default());
            // Nobody may be listening.
            let _ = self.news.send(Arc::new(entry));
        }
    }

    /// Begins to follow, after this entry or from now on.
    pub(crate) async fn follow(&self, after: Option<i64>) -> Result<Follower, Problem> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Problem::TooManyStreams)?;
        // First listen, then look back: between the two nothing is missed, and something may come twice.
        let news = self.news.subscribe();
        let behind = after.map(|id| id.saturating_sub(self.bounds.tail_ids).max(0));
        Ok(Follower { news, behind, _place: place })
    }
}

/// One client that follows the trail.
pub(crate) struct Follower {
    news: broadcast::Receiver<Arc<TrailView>>,
    /// Where catching up with the database stands; `None` once that is done.
    behind: Option<i64>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// What the client missed, a batch at a time; `None` once it missed nothing more.
    pub(crate) async fn behind(&mut self, live: &Live) -> Result<Option<Vec<Arc<TrailView>>>, Error> {
        let Some(from) = self.behind else { return Ok(None) };
        let entries = live.store.trail_since(from, live.bounds.batch).await?;
        let full = entries.len() as u64 >= live.bounds.batch;
        self.behind = entries.last().map(|entry| entry.id).filter(|_| full);
        Ok(Some(entries.into_iter().map(Arc::new).collect()))
    }

    /// The next entry, when it comes.
    pub(crate) async fn news(&mut self) -> Result<Arc<TrailView>, RecvError> {
        self.news.recv().await
    }
}

/// The end of the trail, where entries may still appear before ones already seen.
struct Tail {
    /// The last entry seen.
    newest: i64,
    /// Ids before it whose entries were not seen, and since when they are known to be taken.
    gaps: BTreeMap<i64, Instant>,
}

impl Tail {
    fn at(newest: i64) -> Self {
        Self { newest, gaps: BTreeMap::new() }
    }

    /// The ids to look for again.
    fn gaps(&self) -> Vec<i64> {
        self.gaps.keys().copied().collect()
    }

    /// Of more than `most` gaps the first are given up.
    fn seen(&mut self, id: i64, now: Instant, most: usize) {
        self.gaps.remove(&id);
        let first = id.saturating_sub_unsigned(most as u64).max(self.newest.saturating_add(1));
        self.gaps.extend((first..id).map(|gap| (gap, now)));
        while self.gaps.len() > most {
            self.gaps.pop_first();
        }
        self.newest = self.newest.max(id);
    }

    /// Gives up ids that were taken so long ago that nothing can appear there.
    fn forget(&mut self, now: Instant, tail: Duration) {
        self.gaps.retain(|_, since| now.duration_since(*since) < tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_appears_late_is_looked_for_until_it_is_seen() {
        let start = Instant::now();
        let mut tail = Tail::at(10);
        tail.seen(11, start, 9);
        tail.seen(14, start, 9);
        assert_eq!((tail.newest, tail.gaps()), (14, vec![12, 13]));
        tail.seen(12, start + Duration::from_secs(1), 9);
        tail.forget(start + Duration::from_secs(2), Duration::from_secs(10));
        assert_eq!((tail.newest, tail.gaps()), (14, vec![13]));
    }

    #[test]
    fn an_id_that_nobody_used_is_given_up() {
        let start = Instant::now();
        let mut tail = Tail::at(0);
        tail.seen(2, start, 9);
        tail.seen(4, start + Duration::from_secs(5), 9);
        tail.forget(start + Duration::from_secs(11), Duration::from_secs(10));
        assert_eq!(tail.gaps(), [3]);
    }

    #[test]
    fn of_very_many_gaps_the_first_are_given_up() {
        let mut tail = Tail::at(0);
        tail.seen(5, Instant::now(), 3);
        assert_eq!(tail.gaps(), [2, 3, 4]);
        tail.seen(i64::MAX, Instant::now(), 3);
        assert_eq!(tail.gaps(), [i64::MAX - 3, i64::MAX - 2, i64::MAX - 1]);
    }
}
