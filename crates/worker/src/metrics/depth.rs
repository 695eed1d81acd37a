//! What waits: in the outbox, as dead letters, on the stream. Every worker shows the same, so take the greatest
//! and never the sum.

use casewire_bus::Backlog;
use casewire_store::{Held, OutboxDepth};
use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::CONSUMER;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
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
}

impl Depth {
    pub(super) fn register(registry: &mut Registry) -> Self {
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
        };
        new.name(registry);
        new
    }

    fn name(&self, registry: &mut Registry) {
        let seconds = Unit::Seconds;
        registry.register(
            "outbox_messages",
            "Messages in the outbox; held are those of the uncertain that wait for a person",
            self.outbox.clone(),
        );
        let help = "Age of the oldest message in the outbox";
        registry.register_with_unit("outbox_oldest_age", help, seconds.clone(), self.outbox_age.clone());
        registry.register("parked_messages", "Dead letters", self.parked.clone());
        let help = "Age of the oldest dead letter";
        registry.register_with_unit("parked_oldest_age", help, seconds.clone(), self.parked_age.clone());
        registry.register("stream_messages", "Events a stream holds", self.messages.clone());
        registry.register("stream_bytes", "Bytes a stream holds", self.bytes.clone());
        registry.register("stream_limit_bytes", "Bytes beyond which a stream refuses", self.limit.clone());
        let help = "Events never delivered yet";
        registry.register("stream_pending_messages", help, self.pending.clone());
        let help = "Events delivered and not acknowledged";
        registry.register("stream_ack_pending_messages", help, self.ack_pending.clone());
        let help = "Events delivered more than once and not acknowledged";
        registry.register("stream_redelivered_messages", help, self.redelivered.clone());
        let help = "Age of the oldest event that is not acknowledged";
        registry.register_with_unit("stream_oldest_pending_age", help, seconds, self.oldest.clone());
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
