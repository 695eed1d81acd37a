//! The spill: texts on ingest's own disk while the stream does not take them.
//!
//! It is the embedded stream's file, so what it took is fsynced, and a kill at any point leaves it either with the
//! event or without an answer given for it. An event leaves it only once the stream has acknowledged it, under the id
//! it always had: what was stored twice on the way (a time-out says nothing) has its effect once.
//!
//! New events of a shard go to the stream as soon as it takes any, past those that still wait in the spill: several
//! ingests have a spill each, so their order could not be kept anyway, and nothing rests on it. Decisions go by
//! when a text was received, which no detour changes.

mod breaker;
mod drain;
mod folder;
mod memory;
mod metrics;
mod reserve;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use casewire_bus::embedded::{OpenError, Standing};
use casewire_bus::{Backlog, EmbeddedConfig, EmbeddedStream, PublishError, Stream};
use casewire_domain::Event;
use casewire_domain::directory::Directory;
use casewire_runtime::config;
use casewire_runtime::ops::Beat;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{error, warn};

use breaker::Breaker;
pub(crate) use drain::Drain;
pub(crate) use folder::Folder;
pub(crate) use memory::Memory;
pub(crate) use metrics::{NotKept, Spilling};
use reserve::Reserve;

/// The file of events.
const FILE: &str = "spill.db";
// What follows is how often and how long we look, which changes nothing for anybody but the one who counts: constants.

/// How often depth and age are looked at: a scrape is ten times rarer, and a bound is overrun by a second at most.
const LOOK: Duration = Duration::from_secs(1);
/// Counting many events takes the file's one writer a while; at most this part of its time is spent so.
const LOOK_SHARE: u32 = 20;
/// Longest such a look may take: a disk that hangs is told of, and does not make the one who looks hang too.
const LOOK_WAIT: Duration = Duration::from_secs(10);
/// Longest time between two looks. With a look well below what a task without a sign of life may take.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The spill cannot be opened. Final, until a person acts.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// Another ingest has the folder.
    #[error(
        "another ingest uses the spill folder {0}: give each a folder of its own (`ingest.spill_dir`, --spill-dir)"
    )]
    InUse(String),
    /// The folder cannot be made or written to.
    #[error("the spill folder {folder} cannot be used: {source}")]
    Folder {
        /// Which.
        folder: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Its file cannot be read.
    #[error("the spill in {folder} cannot be opened: {source}")]
    File {
        /// Where it is.
        folder: String,
        /// Why not.
        source: OpenError,
    },
}

/// A spill, open and held by this process alone.
pub struct Spill {
    folder: Folder,
    file: EmbeddedStream,
    reserve: Reserve,
    max_bytes: u64,
    max_age: Duration,
    /// Whether its oldest event waits for too long.
    aged: AtomicBool,
    /// Whether it holds all it may.
    full: AtomicBool,
}

impl Spill {
    /// Opens the spill in this folder, making both if need be, for a stream of so many shards. What an earlier process
    /// left in it goes to the stream once ingest is started.
    ///
    /// # Errors
    /// When the folder is another ingest's, or cannot be used.
    pub async fn open(folder: &Path, settings: &config::Ingest, shards: u32) -> Result<Self, SpillError> {
        let folder = Folder::prepare(folder, FILE)?;
        warn_if_fleeting(&folder);
        let max_bytes = settings.spill_max_bytes.bytes();
        let config = EmbeddedConfig {
            shards,
            max_bytes,
            max_total_bytes: max_bytes,
            publish_timeout: settings.spill_timeout,
            ack_wait: settings.spill_ack_wait,
            // What has left it is remembered by those who outlive it, the stream and the database: no answer here may
            // rest on what the stream had once.
            duplicate_window: Duration::ZERO,
            // What it holds is to leave it, however much comes.
            rush_wait: Duration::ZERO,
            ..EmbeddedConfig::default()
        };
        let reserve = Reserve::of(&folder, settings.spill_reserve);
        let mut opened = EmbeddedStream::open(&folder.file(FILE), config.clone()).await;
        if matches!(opened, Err(OpenError::Database(_))) {
            // A full disk: what was set aside for that may be enough.
            reserve.give_up();
            opened = EmbeddedStream::open(&folder.file(FILE), config).await;
        }
        let file = opened.map_err(|error| match error {
            OpenError::InUse => SpillError::InUse(folder.name()),
            source => SpillError::File { folder: folder.name(), source },
        })?;
        let empty = file.backlog().await.is_ok_and(|depth| is_empty(&depth));
        reserve.renew(empty).await;
        let (aged, full) = Default::default();
        Ok(Self { folder, file, reserve, max_bytes, max_age: settings.spill_max_age, aged, full })
    }

    /// The directory as it was last seen, until the stream's own comes.
    pub(crate) fn remember(&self, board: watch::Receiver<Option<Arc<Directory>>>) -> Memory {
        Memory::over(board, &self.folder)
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Tells those who may be about to give up the folder, with the container or the machine, what would go with it.
    pub(crate) async fn tell_what_is_left(&self) {
        match self.file.backlog().await.map(|depth| held(&depth)) {
            Ok(0) => {}
            Ok(events) => error!(
                event = "spill_left",
                events,
                "ingest ends with events in its spill: they wait there until an ingest starts with its folder"
            ),
            Err(error) => error!(
                event = "spill_left",
                %error,
                "ingest ends and cannot tell whether its spill is empty: keep its folder"
            ),
        }
    }

    /// Writes what is under way and lets go of the file.
    pub(crate) async fn close(&self) {
        self.file.close().await;
    }

    /// Stores an event: on return it is on the disk.
    async fn keep(&self, event: &Event, shard: u32) -> Result<(), NotKept> {
        if self.aged.load(Ordering::Relaxed) {
            return Err(NotKept::Aged);
        }
        if self.reserve.is_given_up() {
            return Err(NotKept::Full);
        }
        let kept = self.file.publish(event, shard).await;
        // Until the next look says otherwise.
        self.full.store(matches!(kept, Err(PublishError::Full)), Ordering::Relaxed);
        kept.map(|_| ()).map_err(NotKept::from)
    }

    /// Whether it would take an event now.
    pub(crate) fn is_taking(&self) -> bool {
        let [aged, full] = [&self.aged, &self.full].map(|what| what.load(Ordering::Relaxed));
        self.file.connected() && !aged && !full && !self.reserve.is_given_up()
    }

    /// Its file could not be read, which needs writing too.
    fn failed(&self) {
        self.reserve.give_up();
    }

    /// Takes note of how it stands. What the stream answered for and refused waits for a person, not for the stream: its
    /// age says nothing of others.
    fn note(&self, standing: &Standing) {
        let aged = standing.waiting.is_some_and(|age| age > self.max_age);
        if aged && !self.aged.swap(aged, Ordering::Relaxed) {
            error!(event = "spill_aged", "events wait in the spill for too long: no further ones are taken");
        }
        self.aged.store(aged, Ordering::Relaxed);
        let held = standing.shards.iter().fold(0_u64, |sum, shard| sum.saturating_add(shard.bytes));
        // Nearly full counts as full only to those who ask whether to send us more.
        if held < self.max_bytes / 20 * 19 {
            self.full.store(false, Ordering::Relaxed);
        }
    }
}

/// The spill at work, with a breaker for each shard of the stream.
pub(crate) struct Relief {
    pub(crate) spill: Spill,
    /// How long the stream is waited for.
    pub(crate) patience: Duration,
    breakers: Vec<Breaker>,
    metrics: Spilling,
}

impl Relief {
    pub(crate) fn new(spill: Spill, settings: &config::Ingest, shards: u32, metrics: Spilling) -> Self {
        let breaker = |shard| {
            let shown = metrics.open.get_or_create_owned(&crate::metrics::Shard::new(shard));
            Breaker::new(shard, settings.breaker_failures.get(), shown)
        };
        let breakers = (0..shards).map(breaker).collect();
        Self { spill, patience: settings.spill_after, breakers, metrics }
    }

    /// Stores an event in the stream's stead.
    pub(crate) async fn keep(&self, event: &Event, shard: u32) -> Result<(), NotKept> {
        let kept = self.spill.keep(event, shard).await;
        match &kept {
            Ok(()) => self.metrics.kept(shard),
            Err(reason) => self.metrics.refused(*reason),
        }
        kept
    }

    /// Whether the stream is not worth waiting for.
    pub(crate) fn is_open(&self, shard: u32) -> bool {
        self.breaker(shard).is_some_and(Breaker::is_open)
    }

    /// The stream did not store an event, and would not store others either.
    pub(crate) fn failed(&self, shard: u32) {
        if let Some(breaker) = self.breaker(shard) {
            breaker.failed();
        }
    }

    /// The stream stored an event.
    pub(crate) fn stored(&self, shard: u32) {
        if let Some(breaker) = self.breaker(shard) {
            breaker.stored();
        }
    }

    fn breaker(&self, shard: u32) -> Option<&Breaker> {
        self.breakers.get(usize::try_from(shard).ok()?)
    }

    /// Looks at depth and age for ever.
    pub(crate) async fn watch(&self, beat: &Beat) {
        loop {
            beat.now();
            let started = Instant::now();
            if timeout(LOOK_WAIT, self.look()).await.is_err() {
                self.metrics.unreadable();
            }
            let pause = LOOK.max(started.elapsed() * LOOK_SHARE);
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }

    async fn look(&self) {
        if let Ok(standing) = self.spill.file.standing().await {
            self.spill.note(&standing);
            self.spill.reserve.renew(is_empty(&standing.shards)).await;
            self.metrics.stands(&standing, self.spill.is_taking());
        } else {
            self.metrics.unreadable();
        }
    }
}

fn is_empty(depth: &[Backlog]) -> bool {
    held(depth) == 0
}

/// Events in the spill.
fn held(depth: &[Backlog]) -> u64 {
    depth.iter().map(|shard| shard.messages).fold(0, u64::saturating_add)
}

/// An fsync in such a folder promises less than a 200 does.
fn warn_if_fleeting(folder: &Folder) {
    if let Some(kind) = folder.fleeting() {
        warn!(
            event = "spill_fleeting",
            kind,
            "the spill's folder goes with the container or the machine, and texts that were answered 200 with it: \
             give it a volume (`ingest.spill_dir`, --spill-dir)"
        );
    }
}
