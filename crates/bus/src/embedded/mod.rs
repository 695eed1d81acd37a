//! The stream in an SQLite file, for one process: `casewire up`, and ingest's spill.
//!
//! One task owns the file and commits what has gathered while it was committing before, so that a flood of small
//! writes costs one fsync a group. Nobody else opens the file: it is locked for as long as the stream is open.

mod clock;
mod config;
mod consumer;
mod database;
mod request;
mod schema;
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

use crate::{Backlog, ConsumeError, Consumer, PrepareError, PublishError, Published, Stream};
use consumer::EmbeddedConsumer;
use request::{Publish, Request};
use writer::Writer;

/// The embedded stream. Dropping it, its consumers and their deliveries ends its task after what was asked of it.
#[derive(Debug)]
pub struct EmbeddedStream {
    config: EmbeddedConfig,
    requests: mpsc::Sender<Request>,
    /// One a shard, touched when there may be something new to fetch.
    arrivals: Arc<[watch::Sender<()>]>,
    /// Whether the file could be written when it was last tried; consumers try every second.
    writing: Arc<AtomicBool>,
}

impl EmbeddedStream {
    /// Opens the stream in this file, creating it if need be; its folder must exist. What an earlier process had in
    /// work is free again, since only one process can have the file.
    pub async fn open(path: &Path, config: EmbeddedConfig) -> Result<Self, OpenError> {
        let connection = schema::open(path, &config).await?;
        Ok(Self::over(connection, config).await?)
    }

    async fn over(connection: SqliteConnection, config: EmbeddedConfig) -> sqlx::Result<Self> {
        let (requests, received) = mpsc::channel(config.queue.max(1));
        let arrivals: Arc<[_]> = (0..config.shards.max(1)).map(|_| watch::Sender::new(())).collect();
        let writing = Arc::new(AtomicBool::new(true));
        let writer =
            Writer::new(connection, received, arrivals.clone(), config.clone(), writing.clone()).await?;
        tokio::spawn(writer.run());
        Ok(Self { config, requests, arrivals, writing })
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
            self.config.poll_interval,
        )))
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, ConsumeError> {
        let (reply, counted) = oneshot::channel();
        self.requests.send(Request::Count(reply)).await.map_err(|_| ConsumeError::Unavailable)?;
        counted.await.map_err(|_| ConsumeError::Unavailable)?
    }

    fn connected(&self) -> bool {
        !self.requests.is_closed() && self.writing.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use casewire_domain::{DedupeId, EventKind, Source};

    use super::*;
    use crate::ack_all;

    fn event(number: usize) -> Event {
        Event {
            dedupe_id: DedupeId::new(format!("i:AC1:SM{number}")).expect("an id"),
            kind: EventKind::Message,
            source: Source::Webhook,
            line: "demo".into(),
            method: "POST".into(),
            target: "/inbound/demo".into(),
            content_type: String::new(),
            body: vec![b'x'; 1000],
            received_at: chrono::DateTime::UNIX_EPOCH,
            trace: Default::default(),
        }
    }

    #[tokio::test]
    async fn a_disk_without_room_refuses_and_loses_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = EmbeddedConfig::default();
        let mut connection = schema::open(&folder.path().join("stream.db"), &config).await.expect("a file");
        // SQLite then says what it says when the disk is full.
        sqlx::raw_sql("PRAGMA max_page_count = 60").execute(&mut connection).await.expect("a limit");
        let stream = EmbeddedStream::over(connection, config).await.expect("a stream");

        let mut accepted = Vec::new();
        for number in 0..200 {
            match stream.publish(&event(number), 0).await {
                Ok(published) => accepted.push(published.sequence),
                Err(error) => assert_eq!(error, PublishError::Full),
            }
        }
        assert!((10..190).contains(&accepted.len()), "{} were accepted", accepted.len());
        let mut consumer = stream.consume(0).await.expect("a consumer");
        let deliveries = consumer.fetch(1000, Duration::from_secs(5)).await.expect("what was accepted");
        assert_eq!(deliveries.iter().map(|delivery| delivery.sequence).collect::<Vec<_>>(), accepted);
        ack_all(deliveries).await.expect("acknowledged");
        let again = stream.publish(&event(199), 0).await.expect("there is room again");
        assert!(!again.duplicate, "what was refused is not remembered");
    }

    #[tokio::test]
    async fn a_transaction_that_the_file_ended_by_itself_costs_that_group_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stream.db");
        let config = EmbeddedConfig::default();
        let mut connection = schema::open(&path, &config).await.expect("a file");
        // What a full disk does to a transaction that is under way.
        let ends_it = "CREATE TRIGGER full BEFORE INSERT ON payload WHEN NEW.dedupe_id LIKE '%bad' \
                       BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
        sqlx::raw_sql(ends_it).execute(&mut connection).await.expect("a trigger");
        let stream = EmbeddedStream::over(connection, config.clone()).await.expect("a stream");
        let mut bad = event(0);
        bad.dedupe_id = DedupeId::new("bad").expect("an id");
        for number in 1..4 {
            assert!(stream.publish(&bad, 0).await.is_err());
            assert!(!stream.connected(), "what cannot be written is not ready");
            stream.publish(&event(number), 0).await.expect("stored");
            assert!(stream.connected());
        }
        stream.close().await;
        let stream = EmbeddedStream::open(&path, config).await.expect("the same file");
        let mut consumer = stream.consume(0).await.expect("a consumer");
        let stored = consumer.fetch(10, Duration::from_secs(5)).await.expect("what was accepted");
        assert_eq!(stored.len(), 3);
    }
}
