//! The two sweepers. What the way from webhook to case lost for any reason, a stuck consumer, a wiped stream, an ingest
//! that was down, is found where it still is, in the stream or on the provider's list, and goes through the same hands
//! as everything else. Each rescue is an alarm: the way itself should have brought it.

mod inbound;
mod line;
mod listing;
mod provider;
mod records;
mod stream;
mod window;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_runtime::config;
use casewire_runtime::ops::Beat;
use casewire_store::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use records::Records;

use crate::Deps;
use crate::batch::{self, Patience};
use crate::metrics::Metrics;

/// What both sweepers work with.
pub(crate) struct Sweepers {
    pub(crate) settings: config::Worker,
    pub(crate) deps: Arc<Deps>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) metrics: Arc<Metrics>,
    /// Wakes the sender: a text that was brought in may have been answered.
    pub(crate) queued: Arc<Notify>,
    /// How long an event stays in the stream at least: its id must be known for as long as anybody may repeat it.
    pub(crate) keep: Duration,
    /// Who has a lease: this process.
    pub(crate) holder: Uuid,
}

impl Sweepers {
    /// Compares the stream with the database until told to stop.
    pub(crate) async fn stream(self: Arc<Self>, stop: CancellationToken) -> Result<(), Infallible> {
        let beat = self.deps.health.task("stream sweeper");
        match self.deps.stream.history() {
            Some(history) => stream::run(&self, history, &beat, &stop).await,
            // The stream keeps nothing that was acknowledged: it has neither what was passed over nor what to trim.
            None => while self.rest(&beat, &stop).await {},
        }
        Ok(())
    }

    /// Compares the provider's list with the database until told to stop.
    pub(crate) async fn provider(self: Arc<Self>, stop: CancellationToken) -> Result<(), Infallible> {
        let beat = self.deps.health.task("provider sweeper");
        provider::run(&self, &beat, &stop).await;
        Ok(())
    }

    /// A pause between two looks at what is due. Whether to go on.
    async fn rest(&self, beat: &Beat, stop: &CancellationToken) -> bool {
        beat.now();
        stop.run_until_cancelled(tokio::time::sleep(self.settings.chores_interval)).await.is_some()
    }

    /// Hands commands to the hands that handle the stream's, unless the process ends.
    async fn handle(
        &self,
        commands: Vec<Command>,
        beat: &Beat,
        stop: &CancellationToken,
    ) -> Result<Vec<Outcome>, Error> {
        let go_on = || {
            beat.now();
            !stop.is_cancelled()
        };
        let (database, patience) = (self.deps.database.as_ref(), Patience::of(&self.settings));
        let outcomes = batch::handle(database, commands, patience, &go_on).await?;
        self.metrics.decided(&outcomes);
        self.queued.notify_one();
        Ok(outcomes)
    }
}
