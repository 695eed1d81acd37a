//! Each role as a process of its own, on NATS and a shared database.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use casewire_domain::seal::MasterKey;
use casewire_runtime::config::{Config, DEFAULT_UNREADY_TIME, HttpUrl, Role};
use casewire_runtime::ops::Latch;
use casewire_runtime::shutdown::Shutdown;
use casewire_runtime::telemetry::Output;
use casewire_store::{Error, Store};
use casewire_worker::Deps;
use secrecy::ExposeSecret;

use crate::answering;
use crate::cli::{IngestArgs, Listen, Place};
use crate::installation;
use crate::keys;
use crate::measures;
use crate::process::Process;
use crate::wiring::{self, Bus};

/// How often a role whose database is not there yet, or not migrated yet, looks again.
const SCHEMA_POLL: Duration = Duration::from_secs(1);

fn start(place: &Place, listen: &Listen, role: Role, name: &'static str) -> anyhow::Result<Process> {
    let mut config = installation::config(place, Some(listen))?;
    config.require(role)?;
    if matches!(role, Role::Ingest | Role::Desk) {
        config.server.unready_time.get_or_insert(DEFAULT_UNREADY_TIME);
    }
    Process::start(config, name, Output::Stdout)
}

fn master_key(config: &Config) -> anyhow::Result<MasterKey> {
    let key = config.keys.master_key.as_ref().context("`keys.master_key` is not set")?;
    keys::parse(key.expose_secret())
}

fn public_url(config: &Config) -> anyhow::Result<HttpUrl> {
    config.server.public_url.clone().context("`server.public_url` is not set")
}

/// Takes webhooks.
pub async fn ingest(place: &Place, args: IngestArgs) -> anyhow::Result<ExitCode> {
    let mut process = start(place, &args.listen, Role::Ingest, "ingest")?;
    if args.spill_dir.is_some() {
        process.config.ingest.spill_dir = args.spill_dir;
    }
    let config = &process.config;
    let listener = wiring::listen(config.server.listen)?;
    let bus = Bus::jetstream(&config.stream).await?;
    measures::stream(&process.metrics, "ingest", &bus.stream);
    let parts = casewire_ingest::Parts {
        spill: wiring::spill(config, config.ingest.spill_dir.as_deref(), &bus).await?,
        stream: bus.stream.clone(),
        directory: bus.board.watch(),
        master_key: master_key(config)?,
        public_url: public_url(config)?,
        metrics: process.metrics.clone(),
        health: process.health.clone(),
    };
    let role = casewire_ingest::build(config.ingest.clone(), parts);
    let settings = config.server.clone();
    let shutdown = process.shutdown.clone();
    let serving = role.clone();
    process
        .shutdown
        .spawn_critical("ingest", async move { serving.run(listener, &settings, shutdown).await });
    process
        .serve(async move {
            role.close().await;
            bus.close().await;
        })
        .await
}

/// Makes cases and sends replies.
pub async fn worker(place: &Place, listen: Listen) -> anyhow::Result<ExitCode> {
    let process = start(place, &listen, Role::Worker, "worker")?;
    let config = &process.config;
    let bus = Bus::jetstream(&config.stream).await?;
    measures::stream(&process.metrics, "worker", &bus.stream);
    let store = measures::open(&process.metrics, &wiring::worker_database(config)).await?;
    let deps = Deps {
        database: Arc::new(store.clone()),
        stream: bus.stream.clone(),
        board: bus.board.clone(),
        master_key: master_key(config)?,
        provider: Arc::new(wiring::provider(&config.sender, config.twilio.api_base_url.as_str())?),
        public_url: public_url(config)?.as_str().to_owned(),
        health: process.health.clone(),
        metrics: process.metrics.clone(),
    };
    answering::watch(&store, &process.health, &process.shutdown);
    let key = deps.master_key.clone();
    let role = casewire_worker::build(config.worker.clone(), config.sender.clone(), deps)
        .sweeping(Arc::new(store.clone()), wiring::keep(&config.stream));
    let (schema, shutdown) = (process.health.latch("schema"), process.shutdown.clone());
    let opened = store.clone();
    process.shutdown.spawn_critical("worker start", async move {
        if wait_for_schema(&opened, &schema, &shutdown).await? {
            keys::check(&opened, &key).await?;
            role.start(&shutdown);
        }
        shutdown.requested().await;
        anyhow::Ok(())
    });
    process
        .serve(async move {
            bus.close().await;
            store.close().await;
        })
        .await
}

/// Serves the REST API.
pub async fn desk(place: &Place, listen: Listen) -> anyhow::Result<ExitCode> {
    let process = start(place, &listen, Role::Desk, "desk")?;
    let config = &process.config;
    let listener = wiring::listen(config.server.listen)?;
    let store = measures::open(&process.metrics, &wiring::database(config, None)).await?;
    let (schema, shutdown) = (process.health.latch("schema"), process.shutdown.clone());
    let opened = store.clone();
    process.shutdown.spawn_critical("schema", async move {
        wait_for_schema(&opened, &schema, &shutdown).await?;
        shutdown.requested().await;
        anyhow::Ok(())
    });
    answering::watch(&store, &process.health, &process.shutdown);
    let deps = casewire_desk::Deps {
        store: store.clone(),
        shutdown: process.shutdown.clone(),
        queued: None,
        metrics: process.metrics.clone(),
    };
    let settings = config.server.clone();
    let desk_config =
        casewire_desk::Config { public_url: settings.public_url.clone(), ..casewire_desk::Config::default() };
    let role = casewire_desk::build(desk_config, deps);
    process.shutdown.spawn_critical("desk", async move { role.run(listener, &settings).await });
    process.serve(async move { store.close().await }).await
}

/// Waits until the database is of this version: whether it is, before the end was asked for.
async fn wait_for_schema(store: &Store, ready: &Latch, shutdown: &Shutdown) -> anyhow::Result<bool> {
    while !shutdown.is_requested() {
        match store.check_schema().await {
            Ok(()) => {
                ready.set(true);
                return Ok(true);
            }
            Err(error @ (Error::Schema(_) | Error::Unavailable(_))) => {
                tracing::warn!(event = "schema_waits", %error, "waiting for the database");
            }
            Err(error) => return Err(error.into()),
        }
        // Waited out or stopped: the loop looks.
        let _ = shutdown.token().run_until_cancelled(tokio::time::sleep(SCHEMA_POLL)).await;
    }
    Ok(false)
}
