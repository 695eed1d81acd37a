#![doc = include_str!("../README.md")]

mod accept;
mod body;
mod lines;
mod metrics;
mod reach;
mod refusal;
mod routes;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use actix_web::web::{Data, ServiceConfig};
use casewire_bus::Stream;
use casewire_domain::directory::Directory;
use casewire_domain::seal::MasterKey;
use casewire_runtime::config::{self, HttpUrl};
use casewire_runtime::http;
use casewire_runtime::ops::{Health, Metrics};
use casewire_runtime::shutdown::Shutdown;
use tokio::sync::{Semaphore, watch};

use lines::Lines;
use reach::Reach;

/// What ingest is built from.
pub struct Parts {
    /// Where events go.
    pub stream: Arc<dyn Stream>,
    /// Accounts and lines as they stand; `None` until they are known.
    pub directory: watch::Receiver<Option<Arc<Directory>>>,
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
    stream: Arc<dyn Stream>,
    lines: Lines,
    metrics: metrics::Webhooks,
    /// One permit for every event that may wait for the stream.
    waiting: Semaphore,
    reach: Reach,
}

/// Builds ingest, and registers its metrics and its conditions of readiness: a directory whose tokens can be opened,
/// and a stream that is not away for longer than `stream_grace`.
pub fn build(settings: config::Ingest, parts: Parts) -> Ingest {
    let Parts { stream, directory, master_key, public_url, metrics, health } = parts;
    let in_flight = usize::try_from(settings.max_in_flight.get()).unwrap_or(usize::MAX);
    let waiting = Semaphore::new(in_flight.min(Semaphore::MAX_PERMITS));
    let metrics = metrics::Webhooks::register(&metrics, stream.shards());
    let reach = Reach::new(settings.stream_grace);
    let lines = Lines::new(directory, master_key);
    let state = Data::new(State { settings, public_url, stream, lines, metrics, waiting, reach });

    let watched = state.clone();
    health.check("directory", move || watched.lines.readiness());
    let watched = state.clone();
    health.check("stream", move || watched.reach.observe(watched.stream.connected(), Instant::now()));
    Ingest(state)
}

impl Ingest {
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
        http::serve(http::server(listener, settings, self.routes())?, shutdown).await
    }
}
