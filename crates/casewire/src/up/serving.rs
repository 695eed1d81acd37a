//! The one server of `up`, and the tasks behind it.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use casewire_desk::{Bounds, Demo, DemoLine};
use casewire_ingest::{Ingest, Spill};
use casewire_runtime::http;
use casewire_worker::Deps;
use tokio::sync::Notify;

use super::{LIVE_POLL, Parts, simulated};
use crate::process::Process;
use crate::wiring::{self, Bus};

/// Starts every role, and the simulator where there is no account. Ingest is to be closed at the end.
pub fn start(
    process: &Process,
    parts: &Parts,
    bus: &Bus,
    spill: Option<Spill>,
    listener: TcpListener,
) -> anyhow::Result<Ingest> {
    let simulator = match &parts.simulator {
        Some(path) => Some((path.clone(), simulated::twilio(parts)?)),
        None => None,
    };
    let worker = worker(process, parts, bus)?;
    let ingest = ingest(process, parts, bus, spill);
    ingest.start(&process.shutdown);
    let desk = desk(process, parts, worker.queued());
    worker.start(&process.shutdown);
    let routes = {
        let (webhooks, pages, guard) = (ingest.routes(), desk.routes(), desk.guard());
        let simulator = simulator.clone();
        move |service: &mut ServiceConfig| {
            service.configure(&webhooks).configure(&pages);
            if let Some((path, simulator)) = &simulator {
                let rest = web::scope(path).configure(simulator.rest_routes());
                let control =
                    web::scope("/simulator").wrap(guard.clone()).configure(simulator.control_routes());
                service.service(rest).service(control);
            }
        }
    };
    let server = http::server(listener, &process.config.server, &process.shutdown, routes)?;
    process.shutdown.spawn_critical("server", http::serve(server, process.shutdown.clone()));
    if let Some((_, simulator)) = simulator {
        let follow = simulated::follow(simulator.clone(), parts.master_key.clone(), bus.board.watch());
        let (stop, follow_until) = (process.shutdown.token(), process.shutdown.token());
        process.shutdown.spawn(async move {
            follow_until.run_until_cancelled(follow).await;
        });
        process.shutdown.spawn(async move { simulator.run(stop).await });
    }
    Ok(ingest)
}

fn worker(process: &Process, parts: &Parts, bus: &Bus) -> anyhow::Result<casewire_worker::Worker> {
    let config = &process.config;
    let deps = Deps {
        database: Arc::new(parts.store.clone()),
        stream: bus.stream.clone(),
        board: bus.board.clone(),
        master_key: parts.master_key.clone(),
        provider: Arc::new(wiring::provider(&config.sender, &parts.api_base_url)?),
        public_url: parts.public_url.as_str().to_owned(),
        health: process.health.clone(),
        metrics: process.metrics.clone(),
    };
    let worker = casewire_worker::build(config.worker.clone(), config.sender.clone(), deps);
    Ok(worker.sweeping(Arc::new(parts.store.clone()), wiring::keep(&config.stream)))
}

fn ingest(process: &Process, parts: &Parts, bus: &Bus, spill: Option<Spill>) -> Ingest {
    let ingest = casewire_ingest::Parts {
        spill,
        stream: bus.stream.clone(),
        directory: bus.board.watch(),
        master_key: parts.master_key.clone(),
        public_url: parts.public_url.clone(),
        metrics: process.metrics.clone(),
        health: process.health.clone(),
    };
    casewire_ingest::build(process.config.ingest.clone(), ingest)
}

fn desk(process: &Process, parts: &Parts, queued: Arc<Notify>) -> casewire_desk::Desk {
    let line = DemoLine { number: parts.line.number.clone(), webhook_url: parts.line.webhook_url.clone() };
    let config = casewire_desk::Config {
        public_url: Some(parts.public_url.clone()),
        live: Bounds { poll: LIVE_POLL, ..Bounds::default() },
        demo: Some(Demo { handset: parts.simulator.is_some(), line }),
        ..casewire_desk::Config::default()
    };
    let deps = casewire_desk::Deps {
        store: parts.store.clone(),
        shutdown: process.shutdown.clone(),
        queued: Some(queued),
        metrics: process.metrics.clone(),
    };
    casewire_desk::build(config, deps)
}
