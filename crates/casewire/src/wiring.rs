//! From settings to the parts they describe.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use casewire_bus::jetstream::Credentials;
use casewire_bus::{
    DirectoryBoard, EmbeddedConfig, EmbeddedStream, JetStream, JetStreamConfig, LocalDirectory, PrepareError,
    Stream,
};
use casewire_ingest::Spill;
use casewire_runtime::config::{self, Config};
use casewire_store::Config as Database;
use casewire_twilio::rest;
use secrecy::ExposeSecret;

use crate::data_dir::DataDir;

/// The database, as it is configured or as it lies in the folder of `up`.
pub fn database(config: &Config, data: Option<&DataDir>) -> Database {
    let settings = &config.database;
    let mut database = match (&settings.url, data) {
        (Some(url), _) => Database::new(url.expose_secret()),
        (None, Some(data)) => Database::sqlite(&data.database()),
        (None, None) => Database::sqlite(&DataDir::new(&config.data.dir).database()),
    };
    if let Some(most) = settings.max_connections {
        database.max_connections = most.get();
    }
    database.acquire_timeout = settings.acquire_timeout;
    database.statement_timeout = settings.statement_timeout;
    database.transaction_timeout = settings.transaction_timeout;
    database.busy_timeout = settings.busy_timeout;
    database
}

/// The same where there is a worker: some connections are kept for its batches.
pub fn database_with_batches(config: &Config, data: Option<&DataDir>) -> Database {
    Database { batch_connections: config.worker.batches.get(), ..database(config, data) }
}

/// Connections of a worker beside those for its batches: one for what is sent, one for what came of it, one for the rest.
const BESIDE_BATCHES: u32 = 3;

/// The database of a process that is a worker and nothing else.
pub fn worker_database(config: &Config) -> Database {
    let mut database = database_with_batches(config, None);
    if config.database.max_connections.is_none() {
        database.max_connections = database.batch_connections.saturating_add(BESIDE_BATCHES);
    }
    database
}

/// A stream with its board, and what must be done at the end.
pub struct Bus {
    pub stream: Arc<dyn Stream>,
    pub board: Arc<dyn DirectoryBoard>,
    closing: Closing,
}

enum Closing {
    JetStream(Arc<JetStream>),
    Embedded(Arc<EmbeddedStream>),
}

/// How long acknowledgements may take to leave at the end.
const FLUSH: Duration = Duration::from_secs(2);

impl Bus {
    /// The stream on NATS where one is configured. It connects in the background, for ever.
    pub async fn jetstream(settings: &config::Stream) -> anyhow::Result<Self> {
        let stream = Arc::new(jetstream(settings).await?);
        Ok(Self { board: stream.clone(), stream: stream.clone(), closing: Closing::JetStream(stream) })
    }

    /// The stream in the folder of `up`.
    pub async fn embedded(settings: &config::Stream, data: &DataDir) -> anyhow::Result<Self> {
        let stream = Arc::new(embedded(settings, data).await?);
        let board = Arc::new(LocalDirectory::default());
        Ok(Self { board, stream: stream.clone(), closing: Closing::Embedded(stream) })
    }

    /// The stream on NATS where one is configured, else in the folder of `up`.
    pub async fn for_up(settings: &config::Stream, data: &DataDir) -> anyhow::Result<Self> {
        if settings.nats_url.is_some() {
            Self::jetstream(settings).await
        } else {
            Self::embedded(settings, data).await
        }
    }

    /// The stream, where it is the one in the folder of `up`.
    pub fn embedded_stream(&self) -> Option<Arc<EmbeddedStream>> {
        match &self.closing {
            Closing::Embedded(stream) => Some(stream.clone()),
            Closing::JetStream(_) => None,
        }
    }

    /// Creates what is missing and takes over limits that differ, as [`JetStream::migrate`]; what was changed. The
    /// embedded stream takes over its limits whenever it is opened.
    pub async fn migrate(&self) -> Result<Vec<String>, PrepareError> {
        match &self.closing {
            Closing::JetStream(stream) => stream.migrate().await,
            Closing::Embedded(stream) => stream.prepare().await.map(|()| Vec::new()),
        }
    }

    /// Sends or writes what is still under way.
    pub async fn close(&self) {
        match &self.closing {
            Closing::JetStream(stream) => stream.flush(FLUSH).await,
            Closing::Embedded(stream) => stream.close().await,
        }
    }
}

/// The stream in the folder of `up`, which nobody else may have open.
pub async fn embedded(settings: &config::Stream, data: &DataDir) -> anyhow::Result<EmbeddedStream> {
    let config = EmbeddedConfig {
        duplicate_window: settings.duplicate_window,
        max_bytes: settings.max_bytes.bytes(),
        max_message_bytes: usize::try_from(settings.max_message.bytes()).unwrap_or(usize::MAX),
        ack_wait: settings.ack_wait,
        publish_timeout: settings.publish_timeout,
        ..EmbeddedConfig::default()
    };
    let opened = EmbeddedStream::open(&data.stream(), config).await;
    opened.with_context(|| format!("{} cannot be used", data.stream().display()))
}

/// The stream on NATS, which connects in the background.
pub async fn jetstream(settings: &config::Stream) -> anyhow::Result<JetStream> {
    let url = settings.nats_url.as_ref().context("`stream.nats_url` is not set")?;
    Ok(JetStream::connect(jetstream_config(settings, url.as_str())).await?)
}

fn jetstream_config(settings: &config::Stream, url: &str) -> JetStreamConfig {
    let credentials = match (&settings.user, &settings.password, &settings.credentials_file) {
        (Some(user), Some(password), _) => {
            Credentials::Password { user: user.clone(), password: password.clone() }
        }
        (_, _, Some(file)) => Credentials::File(file.clone()),
        _ => Credentials::None,
    };
    JetStreamConfig {
        url: url.to_owned(),
        credentials,
        ca_file: settings.ca_file.clone(),
        shards: settings.shards.get().into(),
        duplicate_window: settings.duplicate_window,
        max_bytes: settings.max_bytes.bytes(),
        max_age: settings.max_age,
        max_message_bytes: u32::try_from(settings.max_message.bytes()).unwrap_or(u32::MAX),
        replicas: settings.replicas.get().into(),
        ack_wait: settings.ack_wait,
        max_ack_pending: settings.max_ack_pending.get(),
        directory_interval: settings.directory_interval,
        publish_timeout: settings.publish_timeout,
        request_timeout: settings.request_timeout,
        connect_timeout: settings.connect_timeout,
        ping_interval: settings.ping_interval,
        leave_after: settings.leave_after,
        ..JetStreamConfig::default()
    }
}

/// The spill of ingest in this folder; none without one.
pub async fn spill(config: &Config, folder: Option<&Path>, bus: &Bus) -> anyhow::Result<Option<Spill>> {
    let Some(folder) = folder else { return Ok(None) };
    Ok(Some(Spill::open(folder, &config.ingest, bus.stream.shards()).await?))
}

/// How long an event stays in the stream at least: a server that restarts knows the ids of what it holds, so for twice
/// as long as an id must be known.
pub fn keep(settings: &config::Stream) -> Duration {
    settings.duplicate_window.saturating_mul(2)
}

/// The provider's API.
pub fn provider(settings: &config::Sender, base_url: &str) -> anyhow::Result<rest::Client> {
    let config = rest::Config {
        base_url: base_url.to_owned(),
        connect_timeout: settings.connect_timeout,
        timeout: settings.request_timeout,
        ..rest::Config::default()
    };
    rest::Client::new(config).context("the provider's API cannot be used")
}

/// Binds an address, or says in a sentence why not.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow::anyhow!(
                "{address} is taken by another program: stop it, or choose another address with --listen"
            )
        }
        _ => anyhow::anyhow!("{address} cannot be listened on: {error}"),
    })
}

/// Binds the ops address.
pub fn listen_ops(address: SocketAddr) -> anyhow::Result<TcpListener> {
    casewire_runtime::ops::bind(address).map_err(|error| {
        anyhow::anyhow!("{address}, for health and metrics, cannot be listened on: {error}; choose another with --ops-listen")
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_worker_has_three_connections_beside_those_for_its_batches_unless_told_otherwise() {
        let mut config = Config::default();
        let of = |config: &Config| {
            let database = worker_database(config);
            (database.batch_connections, database.max_connections)
        };
        assert_eq!(of(&config), (2, 5));
        config.worker.batches = NonZeroU32::new(8).unwrap();
        assert_eq!(of(&config), (8, 11));
        config.database.max_connections = NonZeroU32::new(3);
        assert_eq!(of(&config), (8, 3));
        assert_eq!(database_with_batches(&config, None).batch_connections, 8, "`up` has batches, too");
        assert_eq!(database(&config, None).batch_connections, 0, "nobody else has");
    }
}
