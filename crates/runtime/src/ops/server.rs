//! The listener of `/livez`, `/readyz` and `/metrics`. It goes on answering while the process drains.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;

use super::{Check, Health, Metrics, catalogue};
use crate::config::DEFAULT_OPS_LISTEN;
use crate::http::read;
use crate::telemetry::Identity;

/// The type of `/metrics`: Prometheus 3 refuses an answer without one.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds the listener. A busy default port gives way to a free one, so that a second trial run works: print the
/// listener's address. A port that somebody chose does not.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && address == DEFAULT_OPS_LISTEN => {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        }
        bound => bound,
    }
}

/// A running listener.
#[derive(Debug)]
pub struct Ops(ServerHandle);

impl Ops {
    /// Ends it. Call it when everything else has ended; the end of the process does as well.
    pub async fn stop(self) {
        self.0.stop(false).await;
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabel {
    role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabel {
    task: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    revision: &'static str,
    role: &'static str,
}

/// What the handlers need.
#[derive(Clone)]
struct State {
    health: Health,
    metrics: Metrics,
    role: &'static str,
    ready: Family<RoleLabel, Gauge>,
    beats: Family<TaskLabel, Gauge<f64, AtomicU64>>,
}

/// Starts answering on a bound listener.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(listener: TcpListener, health: Health, metrics: Metrics, identity: Identity) -> io::Result<Ops> {
    let state = State::new(health, metrics, identity);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(state.clone()))
            .route("/livez", read().to(livez))
            .route("/readyz", read().to(readyz))
            .route("/metrics", read().to(metrics_text))
    });
    // Nobody but probes and a scraper comes here.
    let server = server.workers(1).disable_signals().listen(listener)?.run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(Ops(handle))
}

impl State {
    fn new(health: Health, metrics: Metrics, Identity { role, version, revision }: Identity) -> Self {
        let (build, ready, beats) =
            (Family::<BuildLabels, Gauge>::default(), Family::default(), Family::default());
        build.get_or_create(&BuildLabels { version, revision, role }).set(1);
        metrics.register(&catalogue::BUILD_INFO, build);
        metrics.register(&catalogue::READY, Family::clone(&ready));
        metrics.register(&catalogue::TASK_LAST_BEAT, Family::clone(&beats));
        let started = Gauge::<f64, AtomicU64>::default();
        started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        metrics.register(&catalogue::PROCESS_START, started);
        Self { health, metrics, role, ready, beats }
    }
}

async fn livez(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    answer(&request, state.health.liveness())
}

async fn readyz(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    answer(&request, state.health.readiness())
}

/// 200 or 503, with the names of what is wrong; with `?verbose` every check as JSON.
fn answer(request: &HttpRequest, checks: Vec<Check>) -> HttpResponse {
    let wrong: Vec<_> = checks.iter().filter(|check| !check.ok).map(|check| check.name).collect();
    let ok = wrong.is_empty();
    let mut response = if ok { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if request.query_string().split('&').any(|part| part == "verbose" || part.starts_with("verbose=")) {
        response.json(json!({ "ok": ok, "checks": checks }))
    } else {
        response.content_type("text/plain; charset=utf-8").body(if ok {
            "ok\n".to_owned()
        } else {
            format!("not ok: {}\n", wrong.join(", "))
        })
    }
}

async fn metrics_text(state: web::Data<State>) -> HttpResponse {
    let ready = state.health.readiness().iter().all(|check| check.ok);
    state.ready.get_or_create(&RoleLabel { role: state.role }).set(ready.into());
    for (task, at) in state.health.last_beats() {
        state.beats.get_or_create(&TaskLabel { task }).set(at);
    }
    match state.metrics.encode() {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
