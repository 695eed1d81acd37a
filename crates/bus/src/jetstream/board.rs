//! The directory's board in a key-value bucket.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind, KeyValueError};
use async_nats::jetstream::kv::{Entry, Operation, Store, UpdateErrorKind};
use casewire_domain::directory::Directory;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::JetStreamConfig;
use super::connection::Connection;
use crate::BoardError;
use crate::directory::Shown;

/// The only key.
const KEY: &str = "directory";

/// Workers that publish at the same moment get in each other's way; each round one of them wins.
const PUBLISH_ROUNDS: usize = 10;

/// Pause before a watch that failed is begun again, and between looks whether it is time to read again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Board {
    connection: Connection,
    bucket: String,
    interval: Duration,
    shown: Shown,
    /// Follows the bucket from the first call of `watch` on: workers only publish.
    follower: OnceLock<AbortOnDropHandle<()>>,
}

/// The board could not be followed any further; it is tried again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Lost(String);

impl Board {
    pub(super) fn new(connection: Connection, config: &JetStreamConfig) -> Self {
        let bucket = config.directory_bucket.clone();
        let interval = config.directory_interval;
        Self { connection, bucket, interval, shown: Shown::default(), follower: OnceLock::new() }
    }

    pub(super) async fn publish(&self, directory: &Directory) -> Result<(), BoardError> {
        if !self.connection.up() {
            return Err(BoardError::Unavailable);
        }
        let store = store(&self.connection, &self.bucket).await?;
        let value = serde_json::to_vec(directory).map_err(|error| BoardError::Rejected(error.to_string()))?;
        for _ in 0..PUBLISH_ROUNDS {
            let hanging = store.entry(KEY).await.map_err(|_| BoardError::Unavailable)?;
            match hanging.as_ref().and_then(read) {
                Some(there) if there.version == directory.version => return Ok(()),
                Some(there) if there.version > directory.version => {
                    return Err(BoardError::Superseded { ours: directory.version, there: there.version });
                }
                _ => {}
            }
            let revision = hanging.map_or(0, |entry| entry.revision);
            match store.update(KEY, value.clone().into(), revision).await {
                Ok(_) => return Ok(()),
                Err(error) => match error.kind() {
                    // Another was quicker; look at what it put up.
                    UpdateErrorKind::WrongLastRevision => {}
                    UpdateErrorKind::TimedOut => return Err(BoardError::Unavailable),
                    _ => return Err(BoardError::Rejected(error.to_string())),
                },
            }
        }
        Err(BoardError::Unavailable)
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<Directory>>> {
        self.follower.get_or_init(|| {
            let follower = Follower {
                connection: self.connection.clone(),
                bucket: self.bucket.clone(),
                interval: self.interval,
                shown: self.shown.clone(),
            };
            AbortOnDropHandle::new(tokio::spawn(follower.run()))
        });
        self.shown.0.subscribe()
    }
}

async fn store(connection: &Connection, bucket: &str) -> Result<Store, BoardError> {
    let store = connection.context.get_key_value(bucket).await;
    store.map_err(|error| if not_found(&error) { BoardError::Missing } else { BoardError::Unavailable })
}

fn not_found(error: &KeyValueError) -> bool {
    let cause =
        error.source().and_then(|cause| cause.downcast_ref::<GetStreamError>()).map(GetStreamError::kind);
    matches!(cause, Some(GetStreamErrorKind::JetStream(refusal)) if refusal.code() == 404)
}

/// The directory of an entry; `None` of a deletion, or of what this version cannot read.
fn read(entry: &Entry) -> Option<Directory> {
    if entry.operation != Operation::Put {
        return None;
    }
    let directory = serde_json::from_slice(&entry.value);
    if directory.is_err() {
        tracing::error!(
            revision = entry.revision,
            "the published directory is not one this version can read"
        );
    }
    directory.ok()
}

/// Keeps what is shown at what hangs in the bucket. The watch is what makes it quick; that it is begun anew with every
/// connection, and the bucket read again from time to time, is what makes it sure.
struct Follower {
    connection: Connection,
    bucket: String,
    interval: Duration,
    shown: Shown,
}

impl Follower {
    async fn run(self) {
        loop {
            if let Err(lost) = self.follow().await {
                tracing::debug!(%lost, "following the directory begins again");
                self.connection.unanswered();
                sleep(PAUSE).await;
            }
        }
    }

    /// Returns when the connection was made anew, or when it could not go on.
    async fn follow(&self) -> Result<(), Lost> {
        self.connection.wait_up(self.interval).await;
        let connects = self.connection.connects();
        let store = store(&self.connection, &self.bucket).await.map_err(lost)?;
        let mut changes = store.watch_with_history(KEY).await.map_err(lost)?;
        let mut look = interval(PAUSE);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut read_at: Option<Instant> = None;
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => self.show(&change.map_err(lost)?),
                    None => return Err(Lost("the watch ended".to_owned())),
                },
                _ = look.tick() => {
                    // The bucket may have been wiped and made again: the watch would be of one that is gone.
                    if self.connection.connects() != connects {
                        return Ok(());
                    }
                    if read_at.is_some_and(|at| at.elapsed() < self.interval) {
                        continue;
                    }
                    if let Some(entry) = store.entry(KEY).await.map_err(lost)? {
                        self.show(&entry);
                    }
                    read_at = Some(Instant::now());
                }
            }
        }
    }

    fn show(&self, entry: &Entry) {
        if let Some(directory) = read(entry) {
            self.shown.show(directory);
        }
    }
}

fn lost(error: impl std::fmt::Display) -> Lost {
    Lost(error.to_string())
}
