//! One shard's events, in batches: fetched, decided, and acknowledged after the commit. An event whose
//! acknowledgement is lost comes again and is recognised.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use casewire_bus::{ConsumeError, Consumer, Delivery, PrepareError};
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_runtime::ops::Beat;
use casewire_runtime::{config, telemetry::trace};
use casewire_store::Error;
use chrono::Utc;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::backoff::Backoff;
use crate::events::Events;
use crate::metrics::{Metrics, disposition};
use crate::suspicion::{self, Round};
use crate::{Deps, batch};

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

    /// Handles a batch, round by round. While the database is away it is held and nothing more is fetched: events wait
    /// in the stream and use up no deliveries.
    async fn handle(&self, deliveries: Vec<Delivery>, beat: &Beat, stop: &CancellationToken) {
        let again = deliveries.iter().filter(|delivery| delivery.attempt > 1).count();
        self.metrics.events.redelivered(again);
        let mut rounds = suspicion::rounds(deliveries, &self.settings);
        while let Some(round) = rounds.pop_front() {
            let start = Instant::now();
            let mut events = Events::read(round, &self.settings);
            match self.decide(&events, &rounds, beat, stop).await {
                Some(outcomes) => self.finish(events, outcomes, start.elapsed()).await,
                None => {
                    let rest = rounds.drain(..).flat_map(|round| round.deliveries);
                    events.deliveries.extend(rest);
                    return self.give_back(events.deliveries).await;
                }
            }
        }
    }

    /// What came of each event; `None` of one that is to be tried again later. Nothing at all when the process ends
    /// before the database is back. The events are held meanwhile, and so are those that `wait` for their round.
    async fn decide(
        &self,
        events: &Events,
        wait: &VecDeque<Round>,
        beat: &Beat,
        stop: &CancellationToken,
    ) -> Option<Vec<Option<Outcome>>> {
        let work = async {
            let mut backoff = self.backoff();
            loop {
                beat.now();
                match self.attempt(events, beat, stop).await {
                    Ok(outcomes) => return Some(outcomes),
                    Err(_) if stop.is_cancelled() => return None,
                    Err(error) => {
                        tracing::warn!(event = "database_unavailable", %error, "the database cannot be used: waiting");
                        self.metrics.events.retried(events.deliveries.len());
                        if !backoff.pause(stop).await {
                            return None;
                        }
                    }
                }
            }
        };
        let hold = async {
            loop {
                tokio::time::sleep(self.settings.hold_interval).await;
                let waiting = wait.iter().flat_map(|round| &round.deliveries);
                for delivery in events.deliveries.iter().chain(waiting) {
                    // Where the stream cannot be told, others get the event, and whoever is second finds it handled.
                    let _ = delivery.hold().await;
                }
            }
        };
        tokio::select! {
            biased;
            outcomes = work => outcomes,
            never = hold => never,
        }
    }

    async fn attempt(
        &self,
        events: &Events,
        beat: &Beat,
        stop: &CancellationToken,
    ) -> Result<Vec<Option<Outcome>>, Error> {
        let database = self.deps.database.as_ref();
        // A batch with slow events takes minutes, and each step of it shows that the task is alive.
        let go_on = || {
            beat.now();
            !stop.is_cancelled()
        };
        let decided = batch::attempt(database, events.commands.clone(), &go_on);
        let results = decided.instrument(events.decision()).await?;
        let mut outcomes = Vec::with_capacity(results.len());
        for ((result, delivery), command) in
            results.into_iter().zip(&events.deliveries).zip(events.commands.iter())
        {
            outcomes.push(match result {
                Ok(outcome) => Some(outcome),
                Err(error) if delivery.attempt < self.settings.logic_tries.get().into() => {
                    let attempt = delivery.attempt;
                    tracing::warn!(event = "event_put_off", attempt, %error, "an event cannot be handled and is tried again");
                    None
                }
                Err(error) => Some(batch::set_aside(database, command.event(), error.to_string()).await?),
            });
        }
        Ok(outcomes)
    }

    /// Everything of the round is committed, or to be tried again. An event whose acknowledgement is lost comes again
    /// and is recognised.
    async fn finish(&self, events: Events, outcomes: Vec<Option<Outcome>>, took: Duration) {
        self.record(&events, &outcomes, took);
        let mut lost = 0_usize;
        for (delivery, outcome) in events.deliveries.into_iter().zip(outcomes) {
            let told = match outcome {
                Some(_) => delivery.ack().await,
                None => delivery.retry(self.settings.logic_pause).await,
            };
            lost += usize::from(told.is_err());
        }
        if lost > 0 {
            self.metrics.events.acks_lost(lost);
            let shard = self.shard;
            tracing::warn!(event = "ack_lost", shard, lost, "acknowledgements were lost: events come again");
        }
    }

    /// The process ends with events it could not handle: others may have them at once.
    async fn give_back(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            // Where the stream cannot be told either, the event comes again after its wait.
            let _ = delivery.retry(Duration::ZERO).await;
        }
    }

    fn record(&self, events: &Events, outcomes: &[Option<Outcome>], took: Duration) {
        let now = Utc::now();
        for ((command, outcome), span) in events.commands.iter().zip(outcomes).zip(&events.spans) {
            span.record("disposition", outcome.as_ref().map_or("retry", disposition));
            if let (Command::Status(_, report), Some(Outcome::Reported { trace, .. })) = (command, outcome) {
                span.record("sms.status", report.status.as_str());
                // Only here is it known which text the report is of.
                trace.iter().for_each(|sent| trace::link(span, sent));
            }
            match outcome {
                Some(outcome) if events.given_up => self.metrics.events.given_up(outcome, took, span),
                Some(outcome) => self.metrics.events.handled(command, outcome, now, took, span),
                None => self.metrics.events.retried(1),
            }
        }
        self.metrics.decided(outcomes.iter().flatten());
        if outcomes.iter().flatten().any(Outcome::may_have_queued) {
            self.queued.notify_one();
        }
    }
}
