#![doc = include_str!("../README.md")]

mod accept;
mod body;
mod lines;
mod metrics;
mod reach;
mod refusal;
mod routes;
mod spill;
mod storage;
mod tally;
mod thread;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use casewire_bus::Stream;
use casewire_domain::directory::Directory;
use casewire_domain::seal::MasterKey;
use casewire_runtime::config::{self, HttpUrl};
use casewire_runtime::http;
use casewire_runtime::ops::{Health, Metrics};
use casewire_runtime::shutdown::Shutdown;
use tokio::sync::watch;

use lines::Lines;
use reach::Reach;
use spill::{Drain, Memory, Relief, Spilling};
pub use spill::{Spill, SpillError};
use storage::Storage;

/// What ingest is built from.
pub struct Parts {
    /// Where events go.
    pub stream: Arc<dyn Stream>,
    /// Accounts and lines as they stand; `None` until they are known.
    pub directory: watch::Receiver<Option<Arc<Directory>>>,
    /// Where events go while the stream does not take them; without it they are refused.
    pub spill: Option<Spill>,
    /// Opens the accounts' tokens.
    pub master_key: MasterKey,
    /// The origin (and path prefix) under which the provider calls us.
    pub public_url: HttpUrl,
    /// Where ingest registers what it counts.
    pub metrics: Metrics,
    /// Where ingest registers when it is ready.
    pub health: Health,
}

/// The role, built and not yet serving.
#[derive(Clone)]
pub struct Ingest(Data<State>);

/// What every request is handled with.
struct State {
    settings: config::Ingest,
    public_url: HttpUrl,
    storage: Storage,
    lines: Lines,
    /// The directory from the spill's folder, where there is one.
    memory: Option<Memory>,
    metrics: metrics::Webhooks,
    health: Health,
}

/// Builds ingest, and registers its metrics and its conditions of readiness: a directory whose tokens can be opened,
/// and a spill that has room or a stream that is not away for longer than `stream_grace`.
pub fn build(settings: config::Ingest, parts: Parts) -> Ingest {
    let Parts { stream, spill, directory, master_key, public_url, metrics, health } = parts;
    let spilling = Spilling::register(&metrics, stream.shards());
    let metrics = metrics::Webhooks::register(&metrics, stream.shards());
    let memory = spill.as_ref().map(|spill| spill.remember(directory.clone()));
    let lines = Lines::new(memory.as_ref().map_or(directory, Memory::watch), master_key);
    let relief = spill.map(|spill| Relief::new(spill, &settings, stream.shards(), spilling));
    let reach = Reach::new(settings.stream_grace);
    let storage = Storage { stream, relief, reach };
    let state =
        Data::new(State { settings, public_url, storage, lines, memory, metrics, health: health.clone() });

    let watched = state.clone();
    health.check("directory", move || watched.lines.readiness());
    let watched = state.clone();
    health.check("stream", move || watched.storage.readiness());
    Ingest(state)
}

impl Ingest {
    /// Starts what empties the spill, where there is one, until shutdown is requested. Should any of it end before, so
    /// does the process: texts would stay in the spill, and nobody would know.
    pub fn start(&self, shutdown: &Shutdown) {
        if self.0.storage.relief.is_none() {
            return;
        }
        for shard in 0..self.0.storage.shards() {
            let (state, until) = (self.0.clone(), shutdown.clone());
            shutdown.spawn_critical("spill drain", async move {
                if let Some(drain) = state.drain(shard) {
                    drain.run(&until).await;
                }
                Ok::<_, Infallible>(())
            });
        }
        let (state, until) = (self.0.clone(), shutdown.token());
        shutdown.spawn_critical("spill watch", async move {
            let _ = until.run_until_cancelled(state.watch()).await;
            Ok::<_, Infallible>(())
        });
    }

    /// Closes the spill, once nothing is served any more, and says if it still holds events.
    pub async fn close(&self) {
        if let Some(relief) = &self.0.storage.relief {
            relief.spill.tell_what_is_left().await;
            relief.spill.close().await;
        }
    }

    /// Mounts the webhook routes in any actix-web application. Do not wrap them in a middleware that reads or
    /// decompresses bodies, or changes paths: the signature covers both as they came.
    pub fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        let state = self.0.clone();
        move |app| routes::mount(app, &state)
    }

    /// Serves the webhooks alone until shutdown is requested, and then finishes the requests it has.
    ///
    /// # Errors
    /// When the listener cannot be used, or the server fails by itself.
    pub async fn run(
        self,
        listener: TcpListener,
        settings: &config::Server,
        shutdown: Shutdown,
    ) -> io::Result<()> {
        self.start(&shutdown);
        http::serve(http::server(listener, settings, &shutdown, self.routes())?, shutdown).await
    }
}

impl State {
    /// A shard's way out of the spill.
    fn drain(&self, shard: u32) -> Option<Drain<'_>> {
        let (relief, stream) = (self.storage.relief.as_ref()?, self.storage.stream.as_ref());
        let settings = &self.settings;
        Some(Drain {
            relief,
            stream,
            shard,
            window: settings.drain_window.get().into(),
            pause: settings.probe_interval,
            put_off: settings.spill_put_off,
            beat: self.health.task("spill drain"),
        })
    }

    /// Looks after the spill: how it stands, and which lines there are.
    async fn watch(&self) {
        if let (Some(relief), Some(memory)) = (&self.storage.relief, &self.memory) {
            let beat = self.health.task("spill watch");
            tokio::join!(relief.watch(&beat), memory.follow(relief.spill.folder()));
        }
    }
}
