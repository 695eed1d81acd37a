//! A stream of either adapter, on a server or a file of its own, that can crash and come back.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use casewire_bus::{
    Consumer, Delivery, DirectoryBoard, EmbeddedConfig, EmbeddedStream, JetStream, JetStreamConfig,
    LocalDirectory, Stream,
};
use casewire_domain::{DedupeId, Event, EventKind, Source, TraceParent};
use casewire_testkit::NatsServer;
use chrono::DateTime;
use tempfile::TempDir;

/// Long enough for a loaded machine; nothing waits this long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Embedded,
    JetStream,
}

/// What a story wants of its stream.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) shards: u32,
    pub(crate) duplicate_window: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) ack_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 1,
            duplicate_window: Duration::from_secs(900),
            max_bytes: 64 << 20,
            ack_wait: Duration::from_secs(30),
        }
    }
}

impl Settings {
    pub(crate) fn jetstream(&self, url: String) -> JetStreamConfig {
        JetStreamConfig {
            url,
            shards: self.shards,
            duplicate_window: self.duplicate_window,
            max_bytes: self.max_bytes,
            ack_wait: self.ack_wait,
            ..JetStreamConfig::default()
        }
    }

    fn embedded(&self) -> EmbeddedConfig {
        EmbeddedConfig {
            shards: self.shards,
            duplicate_window: self.duplicate_window,
            max_bytes: self.max_bytes,
            ack_wait: self.ack_wait,
            ..EmbeddedConfig::default()
        }
    }
}

/// A running stream and what it runs on.
pub(crate) enum Rig {
    Embedded { stream: Arc<EmbeddedStream>, board: Arc<LocalDirectory>, settings: Settings, folder: TempDir },
    JetStream { stream: Arc<JetStream>, server: NatsServer },
}

impl Rig {
    pub(crate) async fn start(adapter: Adapter, settings: Settings) -> Result<Self> {
        match adapter {
            Adapter::Embedded => {
                let folder = tempfile::tempdir()?;
                let stream =
                    EmbeddedStream::open(&folder.path().join("stream.db"), settings.embedded()).await?;
                Ok(Self::Embedded { stream: Arc::new(stream), board: Arc::default(), settings, folder })
            }
            Adapter::JetStream => {
                let server = NatsServer::start().await?;
                let stream = JetStream::connect(settings.jetstream(server.url())).await?;
                ensure!(stream.wait_connected(PATIENCE).await, "no connection");
                stream.prepare().await?;
                Ok(Self::JetStream { stream: Arc::new(stream), server })
            }
        }
    }

    pub(crate) fn stream(&self) -> Arc<dyn Stream> {
        match self {
            Self::Embedded { stream, .. } => stream.clone(),
            Self::JetStream { stream, .. } => stream.clone(),
        }
    }

    pub(crate) fn board(&self) -> Arc<dyn DirectoryBoard> {
        match self {
            Self::Embedded { board, .. } => board.clone(),
            Self::JetStream { stream, .. } => stream.clone(),
        }
    }

    /// A JetStream rig's server.
    pub(crate) fn server(&self) -> Result<&NatsServer> {
        match self {
            Self::JetStream { server, .. } => Ok(server),
            Self::Embedded { .. } => anyhow::bail!("the embedded stream has no server"),
        }
    }

    /// Stops without warning, as with kill -9, and starts again on what is on the disk.
    pub(crate) async fn crash(&mut self) -> Result<()> {
        match self {
            Self::Embedded { stream, settings, folder, .. } => {
                // What the files hold at this moment is what a killed process leaves. Copied by another process:
                // closing a file in this one would end SQLite's locks on it.
                let copy = tempfile::tempdir()?;
                let done =
                    Command::new("cp").arg("-r").arg(folder.path().join(".")).arg(copy.path()).status()?;
                ensure!(done.success(), "cp failed");
                let path = copy.path().join("stream.db");
                *stream = Arc::new(EmbeddedStream::open(&path, settings.embedded()).await?);
                *folder = copy;
            }
            Self::JetStream { stream, server } => {
                server.kill()?;
                server.restart().await?;
                ensure!(stream.wait_connected(PATIENCE).await, "no connection after the restart");
            }
        }
        Ok(())
    }

    /// Puts bytes that are no event on shard 0.
    pub(crate) async fn store_garbage(&mut self, garbage: &'static [u8], dedupe_id: &str) -> Result<()> {
        match self {
            Self::Embedded { stream, settings, folder, .. } => {
                stream.publish(&event(dedupe_id), 0).await?;
                stream.close().await;
                let path = folder.path().join("stream.db");
                overwrite_payloads(&path, garbage).await?;
                *stream = Arc::new(EmbeddedStream::open(&path, settings.embedded()).await?);
            }
            Self::JetStream { server, .. } => {
                let client = async_nats::connect(server.url()).await?;
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", dedupe_id);
                let context = async_nats::jetstream::new(client);
                context.publish_with_headers("in.0.message", headers, garbage.into()).await?.await?;
            }
        }
        Ok(())
    }

    /// Makes room in a stream whose events are all acknowledged.
    pub(crate) async fn make_room(&self) -> Result<()> {
        if let Self::JetStream { server, .. } = self {
            let context = async_nats::jetstream::new(async_nats::connect(server.url()).await?);
            context.get_stream("IN_0").await?.purge().await?;
        }
        Ok(())
    }
}

async fn overwrite_payloads(path: &PathBuf, garbage: &'static [u8]) -> Result<()> {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let mut file = SqliteConnectOptions::new().filename(path).connect().await?;
    sqlx::query("UPDATE payload SET bytes = ?1").bind(garbage).execute(&mut file).await?;
    Ok(file.close().await?)
}

/// A text under this dedupe id.
pub(crate) fn event(dedupe_id: &str) -> Event {
    event_of(dedupe_id, 200)
}

/// A text with a body of so many bytes.
pub(crate) fn event_of(dedupe_id: &str, bytes: usize) -> Event {
    Event {
        dedupe_id: DedupeId::new(dedupe_id).expect("an id"),
        kind: EventKind::Message,
        source: Source::Webhook,
        line: "demo".into(),
        method: "POST".into(),
        target: "/inbound/demo".into(),
        content_type: "application/x-www-form-urlencoded".into(),
        body: vec![b'x'; bytes],
        received_at: DateTime::from_timestamp(1_795_188_180, 123_456_789).expect("a time"),
        trace: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    }
}

/// The dedupe id of a delivery that holds an event.
pub(crate) fn id_of(delivery: &Delivery) -> String {
    match &delivery.event {
        Ok(event) => event.dedupe_id.to_string(),
        Err(undecodable) => panic!("not an event: {undecodable:?}"),
    }
}

/// Fetches until there are `count` deliveries.
pub(crate) async fn fetch(consumer: &mut dyn Consumer, count: usize) -> Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    let gathered = tokio::time::timeout(PATIENCE, async {
        while deliveries.len() < count {
            let more = consumer.fetch(count - deliveries.len(), Duration::from_secs(1)).await?;
            deliveries.extend(more);
        }
        anyhow::Ok(())
    });
    gathered.await.with_context(|| format!("waited in vain for {count} deliveries"))??;
    Ok(deliveries)
}

/// What is there right now.
pub(crate) async fn fetch_now(consumer: &mut dyn Consumer) -> Result<Vec<Delivery>> {
    Ok(consumer.fetch(1000, Duration::from_millis(100)).await?)
}
