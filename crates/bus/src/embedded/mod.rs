//! The stream in an SQLite file, for one process: `casewire up`, and ingest's spill.
//!
//! One task owns the file and commits what has gathered while it was committing before, so that a flood of small
//! writes costs one fsync a group. Nobody else opens the file: it is locked for as long as the stream is open.

mod clock;
mod config;
mod consumer;
mod database;
mod known;
mod ledger;
mod request;
mod rush;
mod schema;
mod standing;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use casewire_domain::Event;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

pub use config::EmbeddedConfig;
pub use schema::OpenError;
pub use standing::Standing;

use crate::{Backlog, ConsumeError, Consumer, PrepareError, PublishError, Published, Stream};
use clock::Clock;
use consumer::EmbeddedConsumer;
use known::KnownIds;
use request::{Publish, Request};
use rush::{Gauge, Rush};
use writer::{Told, Writer};

/// The embedded stream. Dropping it, its consumers and their deliveries ends its task after what was asked of it.
#[derive(Debug)]
pub struct EmbeddedStream {
    config: EmbeddedConfig,
    requests: mpsc::Sender<Request>,
    /// One a shard, touched when there may be something new to fetch.
    arrivals: Arc<[watch::Sender<()>]>,
    /// Whether the file could be written when it was last tried; consumers try every second.
    writing: Arc<AtomicBool>,
    rush: Rush,
}

impl EmbeddedStream {
    /// Opens the stream in this file, creating it if need be; its folder must exist. What an earlier process had in
    /// work is free again, since only one process can have the file.
    pub async fn open(path: &Path, config: EmbeddedConfig) -> Result<Self, OpenError> {
        let clock = Clock::start();
        let connection = schema::open(path, &config, clock.now()).await?;
        let known = KnownIds::new(config.most_ids);
        Ok(Self::over(connection, config, clock, known).await?)
    }

    async fn over(
        connection: SqliteConnection,
        config: EmbeddedConfig,
        clock: Clock,
        known: KnownIds,
    ) -> sqlx::Result<Self> {
        let (requests, received) = mpsc::channel(config.queue.max(1));
        let arrivals: Arc<[_]> = (0..config.shards.max(1)).map(|_| watch::Sender::new(())).collect();
        let writing = Arc::new(AtomicBool::new(true));
        let gauge = Gauge::of(&config);
        let rush = gauge.rush();
        let told = Told { arrivals: arrivals.clone(), writing: writing.clone(), gauge };
        let writer = Writer::new(connection, received, told, config.clone(), clock, known).await?;
        tokio::spawn(writer.run());
        Ok(Self { config, requests, arrivals, writing, rush })
    }

    /// Writes what was asked for so far, acknowledgements included, and closes the file. Whatever is asked
    /// afterwards is refused as unavailable.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.requests.send(Request::Close(reply)).await.is_ok() {
            // An error means that the writer is gone, which is what was wanted.
            let _ = closed.await;
        }
    }

    /// How it stands.
    ///
    /// # Errors
    /// When the file cannot be asked.
    pub async fn standing(&self) -> Result<Standing, ConsumeError> {
        let (reply, counted) = oneshot::channel();
        self.requests.send(Request::Count(reply)).await.map_err(|_| ConsumeError::Unavailable)?;
        counted.await.map_err(|_| ConsumeError::Unavailable)?
    }

    /// Copies what it holds into a new file, with everything that was stored before this was asked. Publishing waits
    /// meanwhile: a quarter of a second for 20 MB. The copy is not brought to the disk.
    ///
    /// # Errors
    /// When the copy cannot be written; the stream is as it was.
    pub async fn copy_to(&self, file: &Path) -> Result<(), CopyError> {
        let (reply, copied) = oneshot::channel();
        let copy = Request::Copy(request::Copy { to: file.to_owned(), reply });
        self.requests.send(copy).await.map_err(|_| CopyError::Closed)?;
        copied.await.map_err(|_| CopyError::Closed)?.map_err(CopyError::Database)
    }

    async fn store(&self, publish: Request, stored: Reply<PublishError>) -> Result<Published, PublishError> {
        self.requests.send(publish).await.map_err(|_| PublishError::Unavailable)?;
        stored.await.map_err(|_| PublishError::Unavailable)?
    }
}

/// The stream's file was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The stream was closed. Final for this one.
    #[error("the stream is closed")]
    Closed,
    /// SQLite cannot write the copy: no room, no permission, or there is a file already. A person must act.
    #[error("the stream's file cannot be copied: {0}")]
    Database(#[source] sqlx::Error),
}

type Reply<E> = oneshot::Receiver<Result<Published, E>>;

#[async_trait]
impl Stream for EmbeddedStream {
    fn shards(&self) -> u32 {
        self.config.shards.max(1)
    }

    async fn prepare(&self) -> Result<(), PrepareError> {
        // Opening it has done all there is to do.
        if self.requests.is_closed() { Err(PrepareError::Unavailable) } else { Ok(()) }
    }

    async fn publish(&self, event: &Event, shard: u32) -> Result<Published, PublishError> {
        if shard >= self.shards() {
            return Err(PublishError::Rejected(format!("there is no shard {shard}")));
        }
        let payload = casewire_proto::encode(event);
        if payload.len() > self.config.max_message_bytes {
            return Err(PublishError::Rejected(format!("it has {} bytes", payload.len())));
        }
        let (reply, stored) = oneshot::channel();
        let dedupe_id = event.dedupe_id.as_str().to_owned();
        let publish = Request::Publish(Publish { shard, dedupe_id, payload, reply });
        timeout(self.config.publish_timeout, self.store(publish, stored))
            .await
            .unwrap_or(Err(PublishError::Timeout))
    }

    async fn consume(&self, shard: u32) -> Result<Box<dyn Consumer>, ConsumeError> {
        let arrivals = usize::try_from(shard).ok().and_then(|index| self.arrivals.get(index));
        let arrivals = arrivals.ok_or_else(|| ConsumeError::Failed(format!("there is no shard {shard}")))?;
        Ok(Box::new(EmbeddedConsumer::new(
            shard,
            self.requests.clone(),
            arrivals.subscribe(),
            self.rush.clone(),
            self.config.clone(),
        )))
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, ConsumeError> {
        self.standing().await.map(|standing| standing.shards)
    }

    fn connected(&self) -> bool {
        !self.requests.is_closed() && self.writing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
