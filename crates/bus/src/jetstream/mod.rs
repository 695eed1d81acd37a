//! The stream on NATS JetStream.
//!
//! Of the server only what 2.9.10 has is used, and what we set is read back: that version silently ignores fields it
//! does not know. `prepare` tells how the streams are set up, and why.

mod board;
mod config;
mod connection;
mod consumer;
mod drift;
mod history;
mod limits;
mod migrate;
mod prepare;
mod publish;
mod replies;
mod silence;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::Info as ConsumerInfo;
use async_nats::jetstream::stream::Info as StreamInfo;
use async_trait::async_trait;
use casewire_domain::Event;
use casewire_domain::directory::Directory;
use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::sync::watch;

pub use config::{Credentials, JetStreamConfig};
pub use connection::ConnectError;

use crate::history::{ShardState, Start, Stored};
use crate::{
    Backlog, BoardError, ConsumeError, Consumer, DirectoryBoard, History, PrepareError, PublishError,
    Published, Stream,
};
use board::Board;
use connection::{ApiError, Connection};
use consumer::JetStreamConsumer;
use publish::Publisher;

/// The durable consumer that all workers share.
const CONSUMER: &str = "work";

/// The name of a shard's stream.
fn stream_name(shard: u32) -> String {
    format!("IN_{shard}")
}

/// The stream and the directory's board on JetStream.
///
/// Publishing and consuming have a connection each, so that neither waits behind the other.
#[derive(Debug)]
pub struct JetStream {
    config: JetStreamConfig,
    publishing: Publisher,
    consuming: Connection,
    board: Arc<Board>,
}

impl JetStream {
    /// Starts connecting and returns at once, whether a server is there or not: [`Stream::connected`] tells.
    pub async fn connect(config: JetStreamConfig) -> Result<Self, ConnectError> {
        let publishing = Publisher::start(&config).await?;
        let consuming = Connection::start(&config, "casewire consume").await?;
        let board = Arc::new(Board::new(consuming.clone(), &config));
        Ok(Self { config, publishing, consuming, board })
    }

    /// Waits until both connections stand; whether they did in time.
    pub async fn wait_connected(&self, wait: Duration) -> bool {
        let (publishing, consuming) =
            tokio::join!(self.publishing.connection.wait_up(wait), self.consuming.wait_up(wait));
        publishing && consuming
    }

    /// Holds what is on the server against what is configured, and creates and changes nothing: for whoever only wants
    /// to know.
    pub async fn inspect(&self) -> Result<(), PrepareError> {
        prepare::inspect(&self.consuming, &self.config).await
    }

    /// Creates what is missing, as [`Stream::prepare`] does, and brings limits of what is there to what is configured: bytes
    /// and age of streams, how much consumers give out and for how long. What was changed, a phrase each. For `casewire
    /// migrate` alone.
    ///
    /// Where anything else differs, or more is held than a lowered limit allows, nothing is changed and all of it is
    /// told ([`PrepareError::Drift`]). After any other error, or where somebody else changes them meanwhile, some streams
    /// may have their new limits: whoever calls again, once what is named is mended, goes on from there.
    pub async fn migrate(&self) -> Result<Vec<String>, PrepareError> {
        migrate::migrate(&self.consuming, &self.config).await
    }

    /// When it is by the server's clock; `None` where it does not tell, as servers before 2.10.
    pub async fn server_time(&self) -> Result<Option<DateTime<Utc>>, PrepareError> {
        prepare::server_time(&self.consuming).await
    }

    /// Sends what is still buffered, acknowledgements above all. What is unsent after `wait` comes again.
    pub async fn flush(&self, wait: Duration) {
        let both =
            async { tokio::join!(self.publishing.connection.client.flush(), self.consuming.client.flush()) };
        let _ = tokio::time::timeout(wait, both).await;
    }

    async fn backlog_of(&self, shard: u32) -> Result<Backlog, ConsumeError> {
        let name = stream_name(shard);
        let stream: StreamInfo = self.consuming.api(format!("STREAM.INFO.{name}"), &json!({})).await?;
        let consumer: ConsumerInfo =
            self.consuming.api(format!("CONSUMER.INFO.{name}.{CONSUMER}"), &json!({})).await?;
        let ack_pending = u64::try_from(consumer.num_ack_pending).unwrap_or(u64::MAX);
        let oldest_at = if consumer.num_pending > 0 || ack_pending > 0 {
            self.stored_at(&name, consumer.ack_floor.stream_sequence + 1).await?
        } else {
            None
        };
        Ok(Backlog {
            shard,
            pending: consumer.num_pending,
            ack_pending,
            redelivered: u64::try_from(consumer.num_redelivered).unwrap_or(u64::MAX),
            messages: stream.state.messages,
            bytes: stream.state.bytes,
            limit_bytes: stream.config.max_bytes.max(0).cast_unsigned(),
            oldest_at,
        })
    }

    /// When the event of this place was stored; `None` when it was erased.
    async fn stored_at(&self, stream: &str, sequence: u64) -> Result<Option<DateTime<Utc>>, ConsumeError> {
        let request = json!({ "seq": sequence });
        match self.consuming.api(format!("STREAM.MSG.GET.{stream}"), &request).await {
            Ok(Got { message }) => Ok(Some(message.time)),
            Err(ApiError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What we read of a stored message.
#[derive(serde::Deserialize)]
struct Got {
    message: GotMessage,
}

#[derive(serde::Deserialize)]
struct GotMessage {
    time: DateTime<Utc>,
}

impl From<ApiError> for ConsumeError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unavailable => Self::Unavailable,
            ApiError::NotFound => Self::Missing,
            ApiError::Refused(why) => Self::Failed(why),
        }
    }
}

#[async_trait]
impl Stream for JetStream {
    fn shards(&self) -> u32 {
        self.config.shards.max(1)
    }

    async fn prepare(&self) -> Result<(), PrepareError> {
        prepare::prepare(&self.consuming, &self.config).await
    }

    async fn publish(&self, event: &Event, shard: u32) -> Result<Published, PublishError> {
        if shard >= self.shards() {
            return Err(PublishError::Rejected(format!("there is no shard {shard}")));
        }
        if !self.publishing.connection.up() {
            // The library would keep it, and store it long after its caller was told no.
            return Err(PublishError::Unavailable);
        }
        let published = self.publishing.publish(event, shard);
        let published = tokio::time::timeout(self.config.publish_timeout, published).await;
        let published = published.unwrap_or(Err(PublishError::Timeout));
        match &published {
            Err(PublishError::Timeout | PublishError::Unavailable) => self.publishing.connection.unanswered(),
            _ => self.publishing.connection.answered(),
        }
        published
    }

    async fn on_this_thread(&self) -> Option<Arc<dyn Stream>> {
        // A configuration that fails here failed at the start; where a client ends, the shared one goes on.
        let publishing = Publisher::start(&self.config).await.ok()?;
        let (config, consuming, board) = (self.config.clone(), self.consuming.clone(), self.board.clone());
        Some(Arc::new(Self { config, publishing, consuming, board }))
    }

    async fn consume(&self, shard: u32) -> Result<Box<dyn Consumer>, ConsumeError> {
        if shard >= self.shards() {
            return Err(ConsumeError::Failed(format!("there is no shard {shard}")));
        }
        let consumer = JetStreamConsumer::new(self.consuming.clone(), shard);
        consumer.look().await?;
        Ok(Box::new(consumer))
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, ConsumeError> {
        let shards = (0..self.shards()).map(|shard| self.backlog_of(shard));
        futures_util::future::try_join_all(shards).await
    }

    fn connected(&self) -> bool {
        self.publishing.connection.up() && self.consuming.up()
    }

    fn takes(&self) -> bool {
        self.publishing.connection.up()
    }

    fn reconnects(&self) -> u64 {
        let again = |connection: &Connection| connection.connects().saturating_sub(1);
        again(&self.publishing.connection) + again(&self.consuming)
    }

    fn history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

#[async_trait]
impl History for JetStream {
    async fn state(&self, shard: u32) -> Result<ShardState, ConsumeError> {
        history::state(&self.consuming, shard).await
    }

    async fn read(&self, shard: u32, from: Start, most: usize) -> Result<Vec<Stored>, ConsumeError> {
        history::read(&self.consuming, shard, from, most).await
    }

    async fn purge(&self, shard: u32, through: u64) -> Result<u64, ConsumeError> {
        history::purge(&self.consuming, shard, through).await
    }
}

#[async_trait]
impl DirectoryBoard for JetStream {
    async fn publish(&self, directory: &Directory) -> Result<(), BoardError> {
        self.board.publish(directory).await
    }

    fn watch(&self) -> watch::Receiver<Option<Arc<Directory>>> {
        self.board.watch()
    }
}
