//! Whether a shard of the stream is worth waiting for.

use std::sync::atomic::{AtomicU32, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use tracing::{info, warn};

/// Counts a shard's failures in a row. From so many on it is open: nobody waits for the shard any more but the one who
/// probes it, until one event is stored.
pub(super) struct Breaker {
    shard: u32,
    limit: u32,
    failures: AtomicU32,
    shown: Gauge,
}

impl Breaker {
    pub(super) fn new(shard: u32, limit: u32, shown: Gauge) -> Self {
        Self { shard, limit, failures: AtomicU32::new(0), shown }
    }

    pub(super) fn is_open(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= self.limit
    }

    /// The shard did not store an event.
    pub(super) fn failed(&self) {
        let add = |failures: u32| Some(failures.saturating_add(1));
        let before =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_default();
        if before.saturating_add(1) == self.limit {
            self.shown.set(1);
            let shard = self.shard;
            warn!(event = "spilling", shard, "the stream does not take events: they go to the spill");
        }
    }

    /// The shard stored an event.
    pub(super) fn stored(&self) {
        // Looked at first: what is written is fetched anew by every thread that reads it.
        if self.failures.load(Ordering::Relaxed) > 0 && self.failures.swap(0, Ordering::Relaxed) >= self.limit
        {
            self.shown.set(0);
            info!(event = "spilling_ended", shard = self.shard, "the stream takes events again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_one_success() {
        let shown = Gauge::default();
        let breaker = Breaker::new(0, 3, shown.clone());
        breaker.failed();
        breaker.failed();
        breaker.stored();
        breaker.failed();
        breaker.failed();
        assert!(!breaker.is_open(), "not three in a row");
        breaker.failed();
        breaker.failed();
        assert_eq!((breaker.is_open(), shown.get()), (true, 1));
        breaker.stored();
        assert_eq!((breaker.is_open(), shown.get()), (false, 0));
    }
}
