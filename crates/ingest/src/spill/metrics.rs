//! What is counted of the spill. All of it is there at 0 even without one, so that an alarm can be written once.

use std::sync::atomic::AtomicU64;

use casewire_bus::embedded::Standing;
use casewire_bus::{Backlog, PublishError};
use casewire_runtime::ops::Metrics;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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
            drop(all.refused.get_or_create(&Refused { reason: *reason }));
        }
        metrics.register(|registry| all.register_in(registry));
        all
    }

    fn register_in(&self, registry: &mut Registry) {
        registry.register("spill_kept", "Events the spill took in the stream's stead", self.kept.clone());
        registry.register(
            "spill_drained",
            "Events that went from the spill to the stream",
            self.drained.clone(),
        );
        let help =
            "Times an event of the spill was put off, because the stream refuses it or it cannot be read";
        registry.register("spill_put_off", help, self.put_off.clone());
        let help = "Events that neither the stream nor the spill took: they were answered 503";
        registry.register("spill_refused", help, self.refused.clone());
        let help = "Whether a shard's events go straight to the spill (1) or to the stream (0)";
        registry.register("spill_breaker_open", help, self.open.clone());
        registry.register("spill_events", "Events in the spill", self.events.clone());
        let help =
            "Of these, events that were put off, because the stream refused them or they cannot be read";
        registry.register("spill_events_put_off", help, self.events_put_off.clone());
        registry.register("spill_bytes", "Bytes of the events in the spill", self.bytes.clone());
        let help = "How long the oldest event has been in the spill, but for those that were put off";
        registry.register("spill_oldest_age_seconds", help, self.oldest.clone());
        let help = "Whether the spill would take an event (1) or is full, too old or broken (0)";
        registry.register("spill_taking", help, self.taking.clone());
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
