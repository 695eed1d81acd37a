//! A round's events as they are read: what each asks for, and the span of its handling.

use std::sync::Arc;

use casewire_bus::Delivery;
use casewire_domain::command::Command;
use casewire_runtime::{config, telemetry::trace};
use tracing::Span;
use tracing::field::Empty;

use crate::metrics::CONSUMER;
use crate::reading;
use crate::suspicion::Round;

/// The events of one round, read.
pub(crate) struct Events {
    /// Whether they are set aside without being looked at.
    pub(crate) given_up: bool,
    pub(crate) deliveries: Vec<Delivery>,
    /// What each asks for.
    pub(crate) commands: Arc<[Command]>,
    /// The span of each one's handling.
    pub(crate) spans: Vec<Span>,
}

impl Events {
    pub(crate) fn read(round: Round, settings: &config::Worker) -> Self {
        let Round { given_up, deliveries } = round;
        let read = |delivery: &Delivery| {
            let span = span(delivery);
            let mut command = match given_up {
                true => reading::untouched(delivery, settings.most_deliveries),
                false => reading::delivered(delivery),
            };
            command.belongs_to(trace::parent_of(&span));
            (command, span)
        };
        let (commands, spans): (Vec<_>, _) = deliveries.iter().map(read).unzip();
        Self { given_up, deliveries, commands: commands.into(), spans }
    }

    /// The span of deciding them together: part of the first one's trace, linked to the others'.
    pub(crate) fn decision(&self) -> Span {
        let mut spans = self.spans.iter();
        let first = spans.next().and_then(Span::id);
        let count = self.commands.len();
        let span = tracing::info_span!(parent: first, "decide", messaging.batch.message_count = count);
        spans.for_each(|other| trace::link_to(&span, other));
        span
    }
}

/// The span of one event's handling: part of the webhook's trace on its first delivery, a trace of its own on others,
/// and linked to where it was published on all.
fn span(delivery: &Delivery) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "process inbound",
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.template = "in.{shard}.{kind}",
        messaging.consumer.group.name = CONSUMER,
        messaging.message.id = Empty,
        messaging.message.delivery_count = delivery.attempt,
        disposition = Empty,
        sms.status = Empty,
    );
    if let Ok(event) = &delivery.event {
        span.record("messaging.message.id", event.dedupe_id.as_str());
        if let Some(published) = &event.trace {
            if delivery.attempt == 1 {
                trace::set_parent(&span, published);
            }
            trace::link(&span, published);
        }
    }
    span
}
