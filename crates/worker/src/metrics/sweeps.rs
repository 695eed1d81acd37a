//! What the sweepers found. Whatever was rescued is an alarm: its own way should have brought it.

use std::time::Duration;

use casewire_runtime::ops::{self, catalogue};
use chrono::Utc;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// The sweeper that compares the stream with the database, as its label.
pub(crate) const STREAM: &str = "stream";
/// The sweeper that compares the provider's lists with the database, as its label.
pub(crate) const PROVIDER: &str = "provider";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sweeper {
    sweeper: &'static str,
}

/// Metrics of sweeps.
pub(crate) struct Sweeps {
    rescued: Family<Sweeper, Counter>,
    failed: Family<Sweeper, Counter>,
    last: Family<Sweeper, Gauge>,
    took: Family<Sweeper, Histogram>,
    purged: Counter,
    corrected: Counter,
}

impl Sweeps {
    pub(super) fn register(metrics: &ops::Metrics) -> Self {
        let buckets = || Histogram::new([0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0]);
        let new = Self {
            rescued: Family::default(),
            failed: Family::default(),
            last: Family::default(),
            took: Family::new_with_constructor(buckets),
            purged: Counter::default(),
            corrected: Counter::default(),
        };
        // Known label sets begin at 0: a first rescue would otherwise have no rate.
        for sweeper in [STREAM, PROVIDER] {
            new.rescued.get_or_create(&Sweeper { sweeper }).inc_by(0);
            new.failed.get_or_create(&Sweeper { sweeper }).inc_by(0);
            drop(new.took.get_or_create(&Sweeper { sweeper }));
        }
        new.name(metrics);
        new
    }

    fn name(&self, metrics: &ops::Metrics) {
        metrics.register(&catalogue::SWEEPER_RESCUED, self.rescued.clone());
        metrics.register(&catalogue::SWEEPER_FAILURES, self.failed.clone());
        metrics.register(&catalogue::SWEEPER_LAST_SUCCESS, self.last.clone());
        metrics.register(&catalogue::SWEEPER_DURATION, self.took.clone());
        metrics.register(&catalogue::SWEEPER_PURGED, self.purged.clone());
        metrics.register(&catalogue::SWEEPER_CORRECTED, self.corrected.clone());
    }

    /// So many were found.
    pub(crate) fn rescued(&self, sweeper: &'static str, events: usize) {
        self.rescued.get_or_create(&Sweeper { sweeper }).inc_by(events as u64);
    }

    /// A sweep did not come to its end.
    pub(crate) fn failed(&self, sweeper: &'static str) {
        self.failed.get_or_create(&Sweeper { sweeper }).inc();
    }

    /// A sweep came to its end.
    pub(crate) fn swept(&self, sweeper: &'static str, took: Duration) {
        self.last.get_or_create(&Sweeper { sweeper }).set(Utc::now().timestamp());
        self.took.get_or_create(&Sweeper { sweeper }).observe(took.as_secs_f64());
    }

    /// So many events were erased.
    pub(crate) fn purged(&self, events: u64) {
        self.purged.inc_by(events);
    }

    /// So many statuses were corrected.
    pub(crate) fn corrected(&self, statuses: u32) {
        self.corrected.inc_by(statuses.into());
    }
}
