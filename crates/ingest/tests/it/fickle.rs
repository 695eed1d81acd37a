//! A stream that does what a story wants of it, and otherwise what it should.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use casewire_bus::{
    Backlog, ConsumeError, Consumer, EmbeddedConfig, EmbeddedStream, PrepareError, PublishError, Published,
    Stream,
};
use casewire_domain::Event;

/// What a slow stream takes for an event.
const SLOW: Duration = Duration::from_millis(200);

/// What a shard does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Stores it.
    Well,
    /// Refuses it at once: it cannot be reached.
    Away,
    /// Stores it after a while.
    Slow,
    /// Has a bug.
    Panics,
    /// Never answers.
    Hangs,
    /// Stores it and never says so.
    Mute,
    /// Has no room.
    Full,
    /// Refuses those whose id ends so, for their own sake.
    Picky(&'static str),
}

/// An embedded stream with moods, one a shard.
pub(crate) struct Fickle {
    behind: EmbeddedStream,
    moods: Mutex<Vec<Mood>>,
    asked: AtomicUsize,
    _folder: tempfile::TempDir,
}

impl Fickle {
    pub(crate) async fn start(shards: u32) -> Result<Arc<Self>> {
        let folder = tempfile::tempdir()?;
        let config = EmbeddedConfig { shards, ..EmbeddedConfig::default() };
        let behind = EmbeddedStream::open(&folder.path().join("stream.db"), config).await?;
        let moods = (0..shards).map(|_| Mood::Well).collect();
        Ok(Arc::new(Self { behind, moods: Mutex::new(moods), asked: AtomicUsize::new(0), _folder: folder }))
    }

    /// Puts all shards in a mood.
    pub(crate) fn all(&self, mood: Mood) {
        self.moods().iter_mut().for_each(|shard| *shard = mood);
    }

    /// Puts one shard in a mood.
    pub(crate) fn one(&self, shard: u32, mood: Mood) {
        self.moods()[shard as usize] = mood;
    }

    /// How often it was asked to store something.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn moods(&self) -> std::sync::MutexGuard<'_, Vec<Mood>> {
        self.moods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes of a publish that is not answered: of no stream does it last for ever.
async fn silence() -> Result<Published, PublishError> {
    tokio::time::sleep(Duration::from_millis(2500)).await;
    Err(PublishError::Timeout)
}

#[async_trait]
impl Stream for Fickle {
    fn shards(&self) -> u32 {
        self.behind.shards()
    }
    async fn prepare(&self) -> Result<(), PrepareError> {
        Ok(())
    }
    #[expect(clippy::panic, reason = "some stories are about what a panic does")]
    async fn publish(&self, event: &Event, shard: u32) -> Result<Published, PublishError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = self.moods()[shard as usize];
        match mood {
            Mood::Well => self.behind.publish(event, shard).await,
            Mood::Away => Err(PublishError::Unavailable),
            Mood::Full => Err(PublishError::Full),
            Mood::Picky(end) if event.dedupe_id.as_str().ends_with(end) => {
                Err(PublishError::Rejected("it is not liked".to_owned()))
            }
            Mood::Picky(_) => self.behind.publish(event, shard).await,
            Mood::Mute => {
                self.behind.publish(event, shard).await?;
                silence().await
            }
            Mood::Slow => {
                tokio::time::sleep(SLOW).await;
                self.behind.publish(event, shard).await
            }
            Mood::Panics => panic!("of this stream's own"),
            Mood::Hangs => silence().await,
        }
    }
    async fn consume(&self, shard: u32) -> Result<Box<dyn Consumer>, ConsumeError> {
        self.behind.consume(shard).await
    }
    async fn backlog(&self) -> Result<Vec<Backlog>, ConsumeError> {
        self.behind.backlog().await
    }
    fn connected(&self) -> bool {
        !self.moods().contains(&Mood::Away)
    }
}
