//! `casewire migrate`: tables, streams and the directory's bucket.

use std::time::Duration;

use anyhow::{Context, bail};
use casewire_bus::PrepareError;
use casewire_runtime::config::Role;
use casewire_runtime::telemetry::Output;
use casewire_store::{Error, Store};
use secrecy::ExposeSecret;

use crate::cli::Place;
use crate::installation;
use crate::printing::say;
use crate::wiring::{self, Bus};
use crate::{keys, logging};

/// How long servers may take to come up beside this command.
const PATIENCE: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

pub async fn run(place: &Place) -> anyhow::Result<()> {
    let config = installation::config(place, None)?;
    if config.database.url.is_none() && config.stream.nats_url.is_none() {
        bail!(
            "nothing to migrate: no database and no stream are configured, and `casewire up` migrates its own folder"
        );
    }
    config.require(Role::Migrate)?;
    let telemetry = logging::start(&config, "migrate", Output::Stderr)?;
    let store = Store::open(&wiring::database(&config, None)).await?;
    let applied = database(&store).await?;
    say!("database: {applied} migrations applied")?;
    if let Some(key) = &config.keys.master_key {
        keys::check(&store, &keys::parse(key.expose_secret())?).await?;
    }
    let bus = Bus::jetstream(&config.stream).await?;
    let changed = stream(&bus).await?;
    if !changed.is_empty() {
        say!("stream: changed {}", changed.join(", "))?;
    }
    say!("stream: {} shards and the directory's bucket are as configured", bus.stream.shards())?;
    let directory = store.directory().await?;
    // A newer one hangs there already where a worker was quicker.
    let _ = bus.board.publish(&directory).await;
    bus.close().await;
    telemetry.flush().await;
    Ok(())
}

async fn database(store: &Store) -> anyhow::Result<usize> {
    let mut tries = 1;
    loop {
        match store.migrate().await {
            Ok(applied) => return Ok(applied),
            Err(error @ Error::Unavailable(_)) if tries < PATIENCE => {
                tracing::warn!(event = "migrate_waits", %error, "waiting for the database");
            }
            Err(error) => return Err(error).context("the database cannot be migrated"),
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn stream(bus: &Bus) -> anyhow::Result<Vec<String>> {
    let mut tries = 1;
    loop {
        match bus.migrate().await {
            Ok(changed) => return Ok(changed),
            Err(error @ PrepareError::Unavailable) if tries < PATIENCE => {
                tracing::warn!(event = "migrate_waits", %error, "waiting for the stream");
            }
            Err(error) => return Err(error.into()),
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}
