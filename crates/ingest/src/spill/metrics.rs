//! What is counted of the spill. All of it is there at 0 even without one, so that an alarm can be written once.

use std::sync::atomic::AtomicU64;

use casewire_bus::embedded::Standing;
use casewire_bus::{Backlog, PublishError};
use casewire_runtime::ops::{Metrics, catalogue};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::{Shard, label};

label! {
    /// Why the spill did not take an event.
    NotKept {
        /// It holds all it may, or its disk does.
        Full = "full",
        /// Its oldest event waits for too long already.
        Aged = "aged",
        /// Its disk did not answer in time.
        Timeout = "timeout",
        /// Its file cannot be written.
        Broken = "broken",
    }
}

impl From<PublishError> for NotKept {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Full => Self::Full,
            PublishError::Timeout => Self::Timeout,
            PublishError::Unavailable | PublishError::Rejected(_) => Self::Broken,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: NotKept,
}

/// The metrics of the spill.
#[derive(Clone, Default)]
pub(crate) struct Spilling {
    kept: Family<Shard, Counter>,
    drained: Family<Shard, Counter>,
    put_off: Family<Shard, Counter>,
    refused: Family<Refused, Counter>,
    pub(super) open: Family<Shard, Gauge>,
    events: Gauge,
    events_put_off: Gauge,
    bytes: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    taking: Gauge,
}

impl Spilling {
    /// Registers them, all at 0.
    pub(crate) fn register(metrics: &Metrics, shards: u32) -> Self {
        let all = Self::default();
        for shard in (0..shards).map(Shard::new) {
            drop(all.kept.get_or_create(&shard));
            drop(all.drained.get_or_create(&shard));
            drop(all.put_off.get_or_create(&shard));
            drop(all.open.get_or_create(&shard));
        }
        for reason in NotKept::ALL {
            drop(all.refused.get_or_create(&Refused { reason }));
        }
        all.register_in(metrics);
        all
    }

    fn register_in(&self, metrics: &Metrics) {
        metrics.register(&catalogue::SPILL_KEPT, self.kept.clone());
        metrics.register(&catalogue::SPILL_DRAINED, self.drained.clone());
        metrics.register(&catalogue::SPILL_PUT_OFF, self.put_off.clone());
        metrics.register(&catalogue::SPILL_REFUSED, self.refused.clone());
        metrics.register(&catalogue::SPILL_BREAKER_OPEN, self.open.clone());
        metrics.register(&catalogue::SPILL_EVENTS, self.events.clone());
        metrics.register(&catalogue::SPILL_EVENTS_PUT_OFF, self.events_put_off.clone());
        metrics.register(&catalogue::SPILL_BYTES, self.bytes.clone());
        metrics.register(&catalogue::SPILL_OLDEST_AGE, self.oldest.clone());
        metrics.register(&catalogue::SPILL_TAKING, self.taking.clone());
    }

    pub(super) fn kept(&self, shard: u32) {
        self.kept.get_or_create(&Shard::new(shard)).inc();
    }

    pub(super) fn drained(&self, shard: u32) {
        self.drained.get_or_create(&Shard::new(shard)).inc();
    }

    pub(super) fn put_off(&self, shard: u32) {
        self.put_off.get_or_create(&Shard::new(shard)).inc();
    }

    pub(super) fn refused(&self, reason: NotKept) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    /// How the spill stands cannot be told: it takes nothing, and holds what it held.
    pub(super) fn unreadable(&self) {
        self.taking.set(0);
    }

    /// How the spill stands.
    pub(super) fn stands(&self, standing: &Standing, taking: bool) {
        let sum = |of: fn(&Backlog) -> u64| standing.shards.iter().map(of).fold(0, u64::saturating_add);
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.events.set(gauge(sum(|shard| shard.messages)));
        self.bytes.set(gauge(sum(|shard| shard.bytes)));
        self.events_put_off.set(gauge(standing.put_off));
        self.oldest.set(standing.waiting.unwrap_or_default().as_secs_f64());
        self.taking.set(taking.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spill_that_cannot_be_read_holds_what_it_held() {
        let metrics = Spilling::default();
        let shard = Backlog { messages: 3, bytes: 900, ..Backlog::default() };
        metrics.stands(&Standing { shards: vec![shard.clone(), shard], ..Standing::default() }, true);
        metrics.unreadable();
        assert_eq!((metrics.events.get(), metrics.bytes.get(), metrics.taking.get()), (6, 1800, 0));
    }
}
