//! The worker: turns events into cases, sends what the outbox holds, applies delivery statuses, and tells
//! ingest of accounts and lines. Any number of workers share the work; none keeps anything between two
//! batches that the others would need.

mod attempt;
mod backoff;
mod batch;
mod breakers;
mod chores;
mod credentials;
mod database;
mod directory;
mod events;
mod metrics;
mod pace;
mod pipeline;
mod provider;
mod reading;
mod recorder;
mod sender;
mod settler;
mod suspicion;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use casewire_bus::{DirectoryBoard, Stream};
use casewire_domain::seal::MasterKey;
use casewire_runtime::config;
use casewire_runtime::ops::{self, Health};
use casewire_runtime::shutdown::Shutdown;
use tokio::sync::Notify;
use uuid::Uuid;

pub use database::Database;
pub use provider::Provider;
pub use sweep::Records;

use metrics::Metrics;
use sweep::Sweepers;

/// What a worker needs of the rest of the process.
pub struct Deps {
    /// The database.
    pub database: Arc<dyn Database>,
    /// The stream.
    pub stream: Arc<dyn Stream>,
    /// Where ingest finds the directory.
    pub board: Arc<dyn DirectoryBoard>,
    /// Opens the accounts' tokens.
    pub master_key: MasterKey,
    /// The provider's API.
    pub provider: Arc<dyn Provider>,
    /// Where the provider reaches us, for delivery callbacks.
    pub public_url: String,
    /// The process's health.
    pub health: Health,
    /// The process's metrics.
    pub metrics: ops::Metrics,
}

/// A worker that is ready to run.
pub struct Worker {
    settings: config::Worker,
    sender: config::Sender,
    deps: Arc<Deps>,
    metrics: Arc<Metrics>,
    /// Wakes the sender when something was queued; it looks by itself too, so nothing depends on it.
    queued: Arc<Notify>,
    /// The sweepers' records, and how long an event stays in the stream.
    sweeping: Option<(Arc<dyn Records>, Duration)>,
}

/// A worker of these settings.
pub fn build(settings: config::Worker, sender: config::Sender, deps: Deps) -> Worker {
    let metrics = Arc::new(Metrics::register(&deps.metrics));
    Worker { settings, sender, deps: Arc::new(deps), metrics, queued: Arc::default(), sweeping: None }
}

impl Worker {
    /// What wakes the sender early: somebody in the same process who queues a text may call it.
    pub fn queued(&self) -> Arc<Notify> {
        self.queued.clone()
    }

    /// Lets it sweep, too: compare stream and provider with the database. `keep` is how long an event stays in the stream
    /// at least; twice the stream's duplicate window, so that no id is forgotten before its time.
    #[must_use]
    pub fn sweeping(self, records: Arc<dyn Records>, keep: Duration) -> Self {
        Self { sweeping: Some((records, keep)), ..self }
    }

    /// Starts the worker's tasks; they end when `shutdown` asks them to.
    pub fn start(self, shutdown: &Shutdown) {
        let remade = Arc::<Notify>::default();
        for shard in 0..self.deps.stream.shards() {
            let pipeline = pipeline::Pipeline {
                shard,
                settings: self.settings.clone(),
                deps: self.deps.clone(),
                metrics: self.metrics.clone(),
                queued: self.queued.clone(),
                remade: remade.clone(),
            };
            shutdown.spawn_critical("pipeline", pipeline.run(shutdown.token()));
        }
        let Self { settings, sender, deps, metrics, queued, sweeping } = self;
        let patience = batch::Patience::of(&settings);
        let outcomes = recorder::start(shutdown, &deps, &metrics, &sender, patience, queued.clone());
        let breakers = Arc::<breakers::Breakers>::default();
        let settler =
            settler::Settler::new(sender.clone(), &deps, &metrics, breakers.clone(), outcomes.clone());
        shutdown.spawn_critical("settler", settler.run(shutdown.token()));
        let sender = sender::Sender::new(sender, &deps, &metrics, queued.clone(), breakers, outcomes);
        shutdown.spawn_critical("sender", sender.run(shutdown.token()));
        let publisher = directory::publish(settings.clone(), deps.clone(), remade, shutdown.token());
        shutdown.spawn_critical("directory", publisher);
        if let Some((records, keep)) = sweeping {
            let sweepers = Sweepers {
                settings: settings.clone(),
                deps: deps.clone(),
                records,
                metrics: metrics.clone(),
                queued: queued.clone(),
                keep,
                holder: Uuid::now_v7(),
            };
            let sweepers = Arc::new(sweepers);
            shutdown.spawn_critical("stream sweeper", sweepers.clone().stream(shutdown.token()));
            shutdown.spawn_critical("provider sweeper", sweepers.provider(shutdown.token()));
        }
        let chores = chores::run(settings, deps, metrics, queued, shutdown.token());
        shutdown.spawn_critical("chores", chores);
    }
}
