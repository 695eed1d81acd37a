//! Following the trail. One reader of the database serves every open page: it asks each second, and at once
//! when something here changed a case, and passes on what is new.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
    /// Ten seconds: longer than any transaction of ours lives.
    pub tail: Duration,
    /// The same in ids, for a client that reconnects.
    pub tail_ids: i64,
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
            tail: Duration::from_secs(10),
            tail_ids: 200,
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
        let now = Instant::now();
        let mut from = tail.floor;
        loop {
            let entries = self.store.trail_since(from, self.bounds.batch).await?;
            let full = entries.len() as u64 >= self.bounds.batch;
            for entry in entries {
                from = entry.id;
                if tail.is_new(entry.id, now) {
                    self.metrics.pushed((Utc::now() - entry.at).to_std().unwrap_or_default());
                    // Nobody may be listening.
                    let _ = self.news.send(Arc::new(entry));
                }
            }
            if !full {
                tail.forget(now, self.bounds.tail);
                return Ok(());
            }
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
    /// Everything up to here has been seen or will never be.
    floor: i64,
    /// What was seen above it, and when.
    seen: BTreeMap<i64, Instant>,
}

impl Tail {
    fn at(floor: i64) -> Self {
        Self { floor, seen: BTreeMap::new() }
    }

    fn is_new(&mut self, id: i64, now: Instant) -> bool {
        match self.seen.entry(id) {
            Entry::Vacant(place) => {
                place.insert(now);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Raises the floor over what was seen so long ago that nothing can appear before it.
    fn forget(&mut self, now: Instant, tail: Duration) {
        while let Some(entry) = self.seen.first_entry() {
            if now.duration_since(*entry.get()) < tail {
                break;
            }
            self.floor = *entry.key();
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_appears_late_is_still_new() {
        let start = Instant::now();
        let mut tail = Tail::at(10);
        assert!(tail.is_new(11, start) && tail.is_new(13, start));
        tail.forget(start + Duration::from_secs(1), Duration::from_secs(10));
        assert_eq!(tail.floor, 10);
        assert!(tail.is_new(12, start + Duration::from_secs(1)));
        assert!(!tail.is_new(13, start + Duration::from_secs(1)));
    }

    #[test]
    fn what_was_seen_long_ago_is_not_read_again() {
        let start = Instant::now();
        let mut tail = Tail::at(0);
        tail.is_new(1, start);
        tail.is_new(2, start + Duration::from_secs(5));
        // Seeing it again does not make it younger.
        assert!(!tail.is_new(1, start + Duration::from_secs(6)));
        tail.forget(start + Duration::from_secs(11), Duration::from_secs(10));
        assert_eq!((tail.floor, tail.seen.len()), (1, 1));
    }
}
