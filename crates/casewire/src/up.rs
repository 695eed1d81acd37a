//! `casewire up`: every role in one process, on embedded defaults, with a simulated Twilio where no account
//! is given.

mod backed_up;
mod backing_up;
mod banner;
mod line;
mod serving;
mod simulated;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use casewire_domain::seal::MasterKey;
use casewire_ingest::Spill;
use casewire_runtime::config::{Config, HttpUrl, Role};
use casewire_runtime::telemetry::Output;
use casewire_store::{Store, TokenKind};
use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;

use crate::cli::{Listen, Place};
use crate::data_dir::{DataDir, Running};
use crate::process::{Process, reachable};
use crate::wiring::{self, Bus};
use crate::{installation, keys, measures, program};

use line::ServedLine;
pub use line::random_id;

/// How long the link to the page may wait to be opened: a person reads the terminal within the day.
const LINK_LIFE: TimeDelta = TimeDelta::hours(24);
/// How often live pages look for news: what a person feels as at once.
const LIVE_POLL: Duration = Duration::from_millis(150);

/// Runs until it is told to stop.
pub async fn run(place: &Place, listen: Listen) -> anyhow::Result<ExitCode> {
    let config = installation::config(place, Some(&listen))?;
    config.require(Role::Up)?;
    let data = DataDir::new(&config.data.dir);
    data.create()?;
    let held = data.hold()?;
    let listener = wiring::listen(config.server.listen)?;
    let address = listener.local_addr().context("the listening address is unknown")?;
    let process = Process::start(config, "up", Output::Stderr)?;

    let parts = open(&process, &data, address).await?;
    let bus = Bus::for_up(&process.config.stream, &data).await?;
    measures::stream(&process.metrics, "up", &bus.stream);
    if let Some(stream) = bus.embedded_stream() {
        let copying = backing_up::run(parts.store.clone(), stream, data.clone());
        let stop = process.shutdown.token();
        process.shutdown.spawn(async move {
            stop.run_until_cancelled(copying).await;
        });
    }
    backed_up::show(&process, &data);
    let spill = spill(&process.config, &data, &bus).await?;
    let ingest = serving::start(&process, &parts, &bus, spill, listener)?;
    let link = one_time_link(&parts.store).await?;
    let said = banner::print(&banner::Facts {
        address,
        ops: process.ops_address,
        line: &parts.line,
        link: &link,
        data: data.path(),
        simulated: parts.simulator.is_some(),
        command: &program::beside(place, data.path()),
    });
    if let Err(why) = said {
        // Texts are answered all the same.
        tracing::warn!(event = "banner_unprinted", "{}", crate::sentence(&why));
    }
    let store = parts.store.clone();
    process
        .serve(async move {
            ingest.close().await;
            bus.close().await;
            store.close().await;
            drop(held);
        })
        .await
}

/// What `up` is made of.
pub struct Parts {
    pub store: Store,
    pub master_key: MasterKey,
    pub public_url: HttpUrl,
    /// Where the provider's API is.
    pub api_base_url: String,
    /// The line the page is about.
    pub line: ServedLine,
    /// The path of the simulated provider's API; none where the provider is real.
    pub simulator: Option<String>,
}

async fn open(process: &Process, data: &DataDir, address: SocketAddr) -> anyhow::Result<Parts> {
    let config = &process.config;
    let unusable = || installation::unusable(config, data.path());
    let database = wiring::database_with_batches(config, Some(data));
    let store = measures::open(&process.metrics, &database).await.with_context(unusable)?;
    store.migrate().await.with_context(unusable)?;
    let master_key = master_key(config, data, &store).await?;

    let simulator = match config.twilio.account_sid {
        Some(_) => None,
        // Only the worker beside it is told, at each start: the page's port is open to whoever reaches it, and this
        // API lets anybody in who has an account's id.
        None => Some(format!("/simulator/twilio/{}", line::random_hex::<16>()?)),
    };
    if simulator.is_some() && data.running().is_some_and(|last| last.simulator.is_none()) {
        bail!(
            "{} served a real account when it last ran, and without one what is written to its customers would go to \
             a simulator: set CASEWIRE_TWILIO__ACCOUNT_SID and its companions again, or choose another folder with \
             --data-dir",
            data.path().display()
        );
    }
    let origin = format!("http://{}", reachable(address));
    let public_url = match &config.server.public_url {
        Some(url) => url.clone(),
        None => HttpUrl::parse(&origin).context("the listening address makes no URL")?,
    };
    let api_base_url = match &simulator {
        Some(path) => format!("{origin}{path}"),
        None => config.twilio.api_base_url.as_str().to_owned(),
    };
    let line = line::ensure(config, &store, &master_key, public_url.as_str()).await?;
    data.record(&Running {
        public_url: public_url.as_str().to_owned(),
        ops: Some(reachable(process.ops_address)),
        api: simulator.is_some().then(|| api_base_url.clone()),
        simulator: simulator.is_some().then_some(origin),
    })?;
    Ok(Parts { store, master_key, public_url, api_base_url, line, simulator })
}

/// The spill for a stream on NATS. An embedded stream lies on the same disk as a spill would.
async fn spill(config: &Config, data: &DataDir, bus: &Bus) -> anyhow::Result<Option<Spill>> {
    let folder = match (&config.ingest.spill_dir, &config.stream.nats_url) {
        (Some(folder), Some(_)) => Some(folder.clone()),
        (None, Some(_)) => Some(data.spill()),
        (None, None) => None,
        (Some(_), None) => bail!(
            "`ingest.spill_dir` is set and `stream.nats_url` is not: the stream is then on this disk itself, and a \
             spill serves nothing"
        ),
    };
    wiring::spill(config, folder.as_deref(), bus).await
}

/// The master key: configured, or in the folder, where the first start makes it.
async fn master_key(config: &Config, data: &DataDir, store: &Store) -> anyhow::Result<MasterKey> {
    let text = match (&config.keys.master_key, data.master_key()?) {
        (Some(key), _) => key.expose_secret().to_owned(),
        (None, Some(key)) => key,
        (None, None) if store.key_check().await?.is_some() => bail!(
            "{} is gone, and nothing else opens the auth tokens in the database: put it back from your copy",
            data.master_key_file().display()
        ),
        (None, None) => data.make_master_key()?,
    };
    let key = keys::parse(&text)?;
    keys::check(store, &key).await?;
    Ok(key)
}

async fn one_time_link(store: &Store) -> anyhow::Result<String> {
    let secret = casewire_desk::token::bare()?;
    let expires = Utc::now() + LINK_LIFE;
    store.add_token(TokenKind::Link, "demo".into(), secret.expose_secret(), Some(expires)).await?;
    Ok(secret.expose_secret().to_owned())
}
