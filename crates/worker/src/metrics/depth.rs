//! What waits: in the outbox, as dead letters, on the stream. Every worker shows the same, so take the greatest
//! and never the sum.

use casewire_bus::Backlog;
use casewire_runtime::ops::{self, catalogue};
use casewire_store::{Held, OutboxDepth, Standing};
use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::CONSUMER;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stream {
    stream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Consumer {
    stream: String,
    consumer: &'static str,
}

/// Gauges of what waits.
pub(crate) struct Depth {
    outbox: Family<State, Gauge>,
    outbox_age: Family<State, Gauge>,
    parked: Gauge,
    parked_age: Gauge,
    messages: Family<Stream, Gauge>,
    bytes: Family<Stream, Gauge>,
    limit: Family<Stream, Gauge>,
    pending: Family<Consumer, Gauge>,
    ack_pending: Family<Consumer, Gauge>,
    redelivered: Family<Consumer, Gauge>,
    oldest: Family<Consumer, Gauge>,
    cases: Family<Status, Gauge>,
    unanswered: Gauge,
    opted_out: Gauge,
}

impl Depth {
    pub(super) fn register(metrics: &ops::Metrics) -> Self {
        let new = Self {
            outbox: Family::default(),
            outbox_age: Family::default(),
            parked: Gauge::default(),
            parked_age: Gauge::default(),
            messages: Family::default(),
            bytes: Family::default(),
            limit: Family::default(),
            pending: Family::default(),
            ack_pending: Family::default(),
            redelivered: Family::default(),
            oldest: Family::default(),
            cases: Family::default(),
            unanswered: Gauge::default(),
            opted_out: Gauge::default(),
        };
        new.name(metrics);
        new
    }

    fn name(&self, metrics: &ops::Metrics) {
        metrics.register(&catalogue::OUTBOX_MESSAGES, self.outbox.clone());
        metrics.register(&catalogue::OUTBOX_OLDEST_AGE, self.outbox_age.clone());
        metrics.register(&catalogue::PARKED_MESSAGES, self.parked.clone());
        metrics.register(&catalogue::PARKED_OLDEST_AGE, self.parked_age.clone());
        metrics.register(&catalogue::STREAM_MESSAGES, self.messages.clone());
        metrics.register(&catalogue::STREAM_BYTES, self.bytes.clone());
        metrics.register(&catalogue::STREAM_LIMIT, self.limit.clone());
        metrics.register(&catalogue::STREAM_PENDING, self.pending.clone());
        metrics.register(&catalogue::STREAM_ACK_PENDING, self.ack_pending.clone());
        metrics.register(&catalogue::STREAM_REDELIVERED, self.redelivered.clone());
        metrics.register(&catalogue::STREAM_OLDEST_AGE, self.oldest.clone());
        metrics.register(&catalogue::OPEN_CASES, self.cases.clone());
        metrics.register(&catalogue::OLDEST_UNANSWERED, self.unanswered.clone());
        metrics.register(&catalogue::OPTED_OUT, self.opted_out.clone());
    }

    /// What the database holds.
    pub(crate) fn database(&self, outbox: &OutboxDepth, parked: &Held) {
        let states = [
            ("queued", outbox.pending),
            ("sending", outbox.sending),
            ("uncertain", outbox.uncertain),
            ("held", outbox.held),
        ];
        for (state, held) in states {
            self.outbox.get_or_create(&State { state }).set(held.messages);
            self.outbox_age.get_or_create(&State { state }).set(age(held.oldest));
        }
        self.parked.set(parked.messages);
        self.parked_age.set(age(parked.oldest));
    }

    /// How cases stand.
    pub(crate) fn standing(&self, standing: &Standing) {
        for (status, cases) in [("open", standing.open), ("pending", standing.pending)] {
            self.cases.get_or_create(&Status { status }).set(cases);
        }
        self.unanswered.set(age(standing.oldest_unanswered));
        self.opted_out.set(standing.opted_out);
    }

    /// What the stream holds.
    pub(crate) fn stream(&self, backlog: &[Backlog]) {
        for shard in backlog {
            let stream = format!("IN_{}", shard.shard);
            let of = Consumer { stream: stream.clone(), consumer: CONSUMER };
            self.pending.get_or_create(&of).set(count(shard.pending));
            self.ack_pending.get_or_create(&of).set(count(shard.ack_pending));
            self.redelivered.get_or_create(&of).set(count(shard.redelivered));
            self.oldest.get_or_create(&of).set(age(shard.oldest_at));
            let of = Stream { stream };
            self.messages.get_or_create(&of).set(count(shard.messages));
            self.bytes.get_or_create(&of).set(count(shard.bytes));
            self.limit.get_or_create(&of).set(count(shard.limit_bytes));
        }
    }
}

/// Seconds since then, 0 when there is nothing.
fn age(since: Option<DateTime<Utc>>) -> i64 {
    since.map_or(0, |since| (Utc::now() - since).num_seconds().max(0))
}

fn count(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
