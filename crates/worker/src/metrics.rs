//! What a worker counts.

use std::time::Duration;

use casewire_bus::Backlog;
use casewire_domain::decide::Outcome;
use casewire_store::OutboxDepth;
use casewire_twilio::rest::SendOutcome;
use chrono::{TimeDelta, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Disposition {
    disposition: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Shard {
    stream: String,
}

const DISPOSITIONS: [&str; 5] = ["done", "duplicate", "park", "retry", "waiting"];
const ATTEMPTS: [&str; 5] = ["accepted", "not_processed", "account_refused", "rejected", "uncertain"];

/// A worker's metrics.
pub(crate) struct WorkerMetrics {
    processed: Family<Disposition, Counter>,
    batches: Histogram,
    to_case: Histogram,
    parked: Counter,
    attempts: Family<Attempt, Counter>,
    breakers: Counter,
    duplicates: Counter,
    outbox: Family<State, Gauge>,
    outbox_age: Gauge,
    pending: Family<Shard, Gauge>,
    ack_pending: Family<Shard, Gauge>,
    bytes: Family<Shard, Gauge>,
    limit: Family<Shard, Gauge>,
    oldest: Family<Shard, Gauge>,
}

impl WorkerMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let new = Self {
            processed: Family::default(),
            batches: Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
            to_case: Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0]),
            parked: Counter::default(),
            attempts: Family::default(),
            breakers: Counter::default(),
            duplicates: Counter::default(),
            outbox: Family::default(),
            outbox_age: Gauge::default(),
            pending: Family::default(),
            ack_pending: Family::default(),
            bytes: Family::default(),
            limit: Family::default(),
            oldest: Family::default(),
        };
        // Known label sets begin at 0: a first failure would otherwise have no rate.
        for disposition in DISPOSITIONS {
            new.processed.get_or_create(&Disposition { disposition }).inc_by(0);
        }
        for outcome in ATTEMPTS {
            new.attempts.get_or_create(&Attempt { outcome }).inc_by(0);
        }
        new.name(registry);
        new
    }

    fn name(&self, registry: &mut Registry) {
        registry.register(
            "messages_processed",
            "Events handled, by what became of them",
            self.processed.clone(),
        );
        let seconds = Unit::Seconds;
        registry.register_with_unit(
            "batch_process_duration",
            "Time of one batch",
            seconds.clone(),
            self.batches.clone(),
        );
        registry.register_with_unit(
            "webhook_to_case_duration",
            "From a webhook's arrival to its commit",
            seconds.clone(),
            self.to_case.clone(),
        );
        registry.register("messages_parked", "Events that became dead letters", self.parked.clone());
        registry.register("sms_send_attempts", "POSTs to the provider, by outcome", self.attempts.clone());
        registry.register(
            "provider_circuit_opened",
            "Times an account's breaker opened",
            self.breakers.clone(),
        );
        registry.register(
            "duplicate_send_detected",
            "Messages the provider holds twice",
            self.duplicates.clone(),
        );
        registry.register("outbox_messages", "Messages in the outbox", self.outbox.clone());
        registry.register_with_unit(
            "outbox_oldest_age",
            "Age of the oldest waiting message",
            seconds.clone(),
            self.outbox_age.clone(),
        );
        registry.register("stream_pending_messages", "Events never delivered yet", self.pending.clone());
        registry.register(
            "stream_ack_pending_messages",
            "Events delivered and not acknowledged",
            self.ack_pending.clone(),
        );
        registry.register("stream_bytes", "Bytes a stream holds", self.bytes.clone());
        registry.register("stream_limit_bytes", "Bytes beyond which a stream refuses", self.limit.clone());
        registry.register_with_unit(
            "stream_oldest_pending_age",
            "Age of the oldest unfinished event",
            seconds,
            self.oldest.clone(),
        );
    }

    pub(crate) fn handled(&self, outcome: &Outcome, age: Option<TimeDelta>) {
        let disposition = disposition(outcome);
        self.processed.get_or_create(&Disposition { disposition }).inc();
        match outcome {
            Outcome::SetAside(_) => {
                self.parked.inc();
            }
            Outcome::Placed { .. } => {
                let seconds = age.and_then(|age| age.to_std().ok()).unwrap_or_default().as_secs_f64();
                self.to_case.observe(seconds);
            }
            Outcome::Reported { duplicate_send: true } => self.duplicate_sends(1),
            _ => {}
        }
    }

    pub(crate) fn retried(&self, events: usize) {
        self.processed.get_or_create(&Disposition { disposition: "retry" }).inc_by(events as u64);
    }

    pub(crate) fn batch(&self, took: Duration) {
        self.batches.observe(took.as_secs_f64());
    }

    pub(crate) fn attempt(&self, outcome: &SendOutcome) {
        self.attempts.get_or_create(&Attempt { outcome: outcome.class() }).inc();
    }

    pub(crate) fn breaker_opened(&self) {
        self.breakers.inc();
    }

    pub(crate) fn duplicate_sends(&self, count: usize) {
        self.duplicates.inc_by(count as u64);
    }

    pub(crate) fn outbox(&self, depth: &OutboxDepth) {
        let states = [("queued", depth.pending), ("sending", depth.sending), ("uncertain", depth.uncertain)];
        for (state, held) in states {
            self.outbox.get_or_create(&State { state }).set(held.messages);
        }
        let oldest = depth.pending.oldest.min(depth.sending.oldest);
        self.outbox_age.set(oldest.map_or(0, |at| (Utc::now() - at).num_seconds()));
    }

    pub(crate) fn backlog(&self, backlog: &[Backlog]) {
        for shard in backlog {
            let stream = Shard { stream: format!("IN_{}", shard.shard) };
            let set = |gauge: &Family<Shard, Gauge>, value: u64| {
                gauge.get_or_create(&stream).set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set(&self.pending, shard.pending);
            set(&self.ack_pending, shard.ack_pending);
            set(&self.bytes, shard.bytes);
            set(&self.limit, shard.limit_bytes);
            let age = shard.oldest_at.map_or(0, |at| (Utc::now() - at).num_seconds());
            set(&self.oldest, u64::try_from(age).unwrap_or(0));
        }
    }
}

/// What became of an event, by the name metrics and spans have for it.
pub(crate) fn disposition(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Duplicate => "duplicate",
        Outcome::SetAside(_) => "park",
        Outcome::Waiting => "waiting",
        _ => "done",
    }
}
