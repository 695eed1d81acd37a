#![doc = include_str!("../README.md")]

mod api;
pub mod auth;
mod live;
mod metrics;
mod page;
pub mod problem;
mod segments;
pub mod token;
mod traffic;
pub mod words;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use casewire_domain::Address;
use casewire_runtime::config::{HttpUrl, Server};
use casewire_runtime::http;
use casewire_runtime::ops;
use casewire_runtime::shutdown::Shutdown;
use casewire_store::Store;
use serde::Serialize;
use tokio::sync::Notify;

use auth::{Authority, Guard};
use live::Live;
use metrics::Metrics;

pub use api::{BodyLimits, CaseBody, CaseList};
pub use live::Bounds;

/// How the desk behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The origin browsers may reach the page by, where it is not the address listened on. With https the
    /// session's cookie is `Secure`.
    pub public_url: Option<HttpUrl>,
    /// How long a browser stays signed in. A week: who tries casewire out comes back to it the next day.
    pub session_life: Duration,
    /// How much of a body is read. 64 KiB: the longest text takes under 20, escapes and all; five seconds are
    /// plenty for that over a phone's connection.
    pub body: BodyLimits,
    /// The bounds of live pages.
    pub live: Bounds,
    /// What the demo page shows; without it there is no page.
    pub demo: Option<Demo>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: None,
            session_life: Duration::from_secs(7 * 24 * 60 * 60),
            body: BodyLimits { bytes: 64 * 1024, time: Duration::from_secs(5) },
            live: Bounds::default(),
            demo: None,
        }
    }
}

/// What the demo page shows beside the cases.
#[derive(Clone, Debug, Serialize)]
pub struct Demo {
    /// Whether there is a handset: only where Twilio is simulated, and its control is mounted at `/simulator`.
    pub handset: bool,
    /// The line the page is about.
    pub line: DemoLine,
}

/// The line the page is about.
#[derive(Clone, Debug, Serialize)]
pub struct DemoLine {
    /// Its number.
    pub number: Address,
    /// Where the provider sends its texts.
    pub webhook_url: String,
}

/// What the desk needs.
#[derive(Clone)]
pub struct Deps {
    /// The database.
    pub store: Store,
    /// The end of the process: live pages end with it, so that it need not wait for them.
    pub shutdown: Shutdown,
    /// Told when a reply was queued, so that a sender in the same process looks at once; it looks by itself too.
    pub queued: Option<Arc<Notify>>,
    /// Where the desk registers what it counts.
    pub metrics: ops::Metrics,
}

/// The desk, ready to be served. Cloning shares it.
#[derive(Clone)]
pub struct Desk {
    config: Data<Config>,
    store: Data<Store>,
    live: Data<Live>,
    metrics: Data<Metrics>,
    authority: Authority,
    shutdown: Shutdown,
}

/// Builds the desk and begins to follow the trail for its live pages; to be called inside a Tokio runtime.
pub fn build(config: Config, deps: Deps) -> Desk {
    let Deps { store, shutdown, queued, metrics } = deps;
    let counted = Metrics::register(&metrics);
    let live = Live::new(store.clone(), shutdown.clone(), config.live, queued, counted.clone());
    let live = Data::new(live);
    let shown = live.clone();
    metrics.before_showing(move || shown.show());
    let reader = live.clone();
    shutdown.spawn(async move { reader.run().await });
    let public_url = config.public_url.as_ref().map(HttpUrl::as_str);
    Desk {
        authority: Authority::new(store.clone(), public_url, config.session_life, counted.clone()),
        metrics: Data::new(counted),
        store: Data::new(store),
        live,
        config: Data::new(config),
        shutdown,
    }
}

impl Desk {
    /// Mounts `/api/v1`, and the page under `/demo` when there is one, in any server.
    pub fn routes(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static + use<> {
        let desk = self.clone();
        move |service: &mut ServiceConfig| {
            service
                .app_data(desk.config.clone())
                .app_data(desk.store.clone())
                .app_data(desk.live.clone())
                .app_data(desk.metrics.clone())
                .app_data(Data::new(desk.authority.clone()));
            api::routes(service, desk.guard());
            if desk.config.demo.is_some() {
                page::routes(service);
            }
        }
    }

    /// The guard of the API, for whatever else only a token or a session may reach: the simulator's control.
    pub fn guard(&self) -> Guard {
        Guard::new(self.authority.clone())
    }

    /// Says that a case changed, so that live pages read at once; without it they notice within a second.
    pub fn hint(&self) {
        self.live.hint();
    }

    /// Serves the desk alone on a bound listener until shutdown.
    ///
    /// # Errors
    /// When the listener cannot be used, or the server fails by itself.
    pub async fn run(self, listener: TcpListener, settings: &Server) -> io::Result<()> {
        let server = http::server(listener, settings, &self.shutdown, self.routes())?;
        http::serve(server, self.shutdown).await
    }
}
