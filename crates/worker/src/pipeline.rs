//! One shard's events, in batches: fetched, decided, and acknowledged after the commit. An event whose
//! acknowledgement is lost comes again and is recognised.

use std::sync::Arc;
use std::time::Duration;

use casewire_bus::{ConsumeError, Consumer, Delivery, PrepareError};
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_runtime::ops::Beat;
use casewire_runtime::{config, telemetry::trace};
use chrono::Utc;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::backoff::Backoff;
use crate::metrics::{Metrics, disposition};
use crate::{Deps, batch, reading};

pub(crate) struct Pipeline {
    pub(crate) shard: u32,
    pub(crate) settings: config::Worker,
    pub(crate) deps: Arc<Deps>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) queued: Arc<Notify>,
    /// Wakes whoever has put something on a stream that was made again.
    pub(crate) remade: Arc<Notify>,
}

impl Pipeline {
    /// Works until told to stop. It fails only where a person must act first: a stream set up differently.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), PrepareError> {
        let beat = self.deps.health.task("pipeline");
        let bound = self.deps.health.latch("stream consumer");
        let mut backoff = self.backoff();
        while !stop.is_cancelled() {
            beat.now();
            let error = match self.deps.stream.consume(self.shard).await {
                Ok(mut consumer) => {
                    bound.set(true);
                    self.consume(consumer.as_mut(), &mut backoff, &beat, &stop).await
                }
                Err(error) => {
                    bound.set(false);
                    Some(error)
                }
            };
            if let Some(error) = error {
                self.mend(error).await?;
                backoff.pause(&stop).await;
            }
        }
        Ok(())
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.settings.retry_first, self.settings.retry_most)
    }

    /// Takes batches until told to stop, or until the stream says no.
    async fn consume(
        &self,
        consumer: &mut dyn Consumer,
        backoff: &mut Backoff,
        beat: &Beat,
        stop: &CancellationToken,
    ) -> Option<ConsumeError> {
        let most = self.settings.batch_size.get() as usize;
        while !stop.is_cancelled() {
            beat.now();
            let deliveries = match consumer.fetch(most, self.settings.fetch_wait).await {
                Ok(deliveries) => deliveries,
                Err(error) => return Some(error),
            };
            backoff.reset();
            if !deliveries.is_empty() {
                self.handle(deliveries, beat, stop).await;
            }
        }
        None
    }

    /// A stream that is missing is made again; one that is out of reach comes back by itself.
    async fn mend(&self, error: ConsumeError) -> Result<(), PrepareError> {
        tracing::warn!(event = "stream_unreadable", shard = self.shard, %error, "the stream cannot be read");
        if error != ConsumeError::Missing {
            return Ok(());
        }
        match self.deps.stream.prepare().await {
            Err(drift @ PrepareError::Drift(_)) => Err(drift),
            Err(error) => {
                tracing::warn!(event = "stream_not_prepared", %error, "the stream cannot be made ready yet");
                Ok(())
            }
            Ok(()) => {
                self.remade.notify_one();
                Ok(())
            }
        }
    }

    /// Handles a batch and acknowledges it. While the database is away the batch is held and nothing more
    /// is fetched: events wait in the stream and use up no deliveries. Where that takes longer than the stream
    /// waits for us, others get the events too, and whoever comes second finds them handled.
    async fn handle(&self, deliveries: Vec<Delivery>, beat: &Beat, stop: &CancellationToken) {
        let start = Instant::now();
        let again = deliveries.iter().filter(|delivery| delivery.attempt > 1).count();
        self.metrics.events.redelivered(again);
        let commands: Vec<Command> = deliveries.iter().map(command).collect();
        let spans: Vec<Span> = deliveries.iter().map(span).collect();
        let mut backoff = self.backoff();
        let outcomes = loop {
            beat.now();
            match batch::handle(self.deps.database.as_ref(), commands.clone()).await {
                Ok(outcomes) => break outcomes,
                Err(error) => {
                    tracing::warn!(event = "database_unavailable", %error, "the database cannot be used: waiting");
                    self.metrics.events.retried(deliveries.len());
                    if !backoff.pause(stop).await {
                        return self.give_back(deliveries).await;
                    }
                }
            }
        };
        self.record(&commands, &outcomes, &spans, start.elapsed());
        self.acknowledge(deliveries).await;
    }

    /// The batch is committed. An event whose acknowledgement is lost comes again and is recognised.
    async fn acknowledge(&self, deliveries: Vec<Delivery>) {
        let mut lost = 0_usize;
        for delivery in deliveries {
            lost += usize::from(delivery.ack().await.is_err());
        }
        if lost > 0 {
            self.metrics.events.acks_lost(lost);
            let shard = self.shard;
            tracing::warn!(event = "ack_lost", shard, lost, "acknowledgements were lost: events come again");
        }
    }

    /// The process ends with a batch it could not handle: others may have it at once.
    async fn give_back(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            // Where the stream cannot be told either, the event comes again after its wait.
            let _ = delivery.retry(Duration::ZERO).await;
        }
    }

    fn record(&self, commands: &[Command], outcomes: &[Outcome], spans: &[Span], took: Duration) {
        let now = Utc::now();
        for ((command, outcome), span) in commands.iter().zip(outcomes).zip(spans) {
            self.metrics.events.handled(command, outcome, now, took);
            span.record("outcome", disposition(outcome));
        }
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Reported { duplicate_send: true })) {
            tracing::error!(event = "duplicate_send", "the provider holds two texts for one message");
        }
        // A text may have been answered, a report may have settled what held a later text back.
        self.queued.notify_one();
    }
}

fn command(delivery: &Delivery) -> Command {
    match &delivery.event {
        Ok(event) => reading::command(event),
        Err(bytes) => reading::undecodable(bytes, Utc::now()),
    }
}

/// The span of one event's handling: part of the webhook's trace on its first delivery, linked to it on others.
fn span(delivery: &Delivery) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.kind = "consumer",
        messaging.system = "nats",
        delivery = delivery.attempt,
        outcome = tracing::field::Empty,
    );
    if let Ok(event) = &delivery.event {
        if delivery.attempt == 1 {
            trace::set_parent(&span, &event.trace);
        } else {
            trace::link(&span, &event.trace);
        }
    }
    span
}
