//! Telling ingest of accounts and lines: whenever they change, when the stream had to be made again, and every minute
//! in case something else was lost.

use std::convert::Infallible;
use std::sync::Arc;

use casewire_bus::BoardError;
use casewire_runtime::config;
use casewire_store::Error;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Deps;
use crate::backoff::Backoff;

/// Publishes until told to stop; at once when `remade` tells that the board was made again, empty.
pub(crate) async fn publish(
    settings: config::Worker,
    deps: Arc<Deps>,
    remade: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let beat = deps.health.task("directory");
    let mut backoff = Backoff::new(settings.directory_poll, settings.retry_most);
    let mut publisher = Publisher { deps, settings, published: None, superseded: None };
    while !stop.is_cancelled() {
        beat.now();
        match publisher.look().await {
            Ok(()) => {
                backoff.reset();
                let woken = tokio::time::timeout(publisher.settings.directory_poll, remade.notified());
                if let Some(Ok(())) = stop.run_until_cancelled(woken).await {
                    publisher.published = None;
                }
            }
            Err(trouble) => {
                publisher.tell(&trouble).await;
                backoff.pause(&stop).await;
            }
        }
    }
    Ok(())
}

/// Why the board does not show what the database holds.
enum Trouble {
    Database(Error),
    Board(BoardError),
}

struct Publisher {
    deps: Arc<Deps>,
    settings: config::Worker,
    /// The version that hangs on the board, by whoever's hand, and since when.
    published: Option<(i64, Instant)>,
    /// The newer version that the board showed at the last look.
    superseded: Option<i64>,
}

impl Publisher {
    /// Publishes the directory where it has changed, or was published long ago.
    async fn look(&mut self) -> Result<(), Trouble> {
        let version = self.deps.database.directory_version().await.map_err(Trouble::Database)?;
        let fresh = |(known, at): (i64, Instant)| {
            known == version && at.elapsed() < self.settings.directory_republish
        };
        if self.published.is_some_and(fresh) {
            return Ok(());
        }
        self.published = None;
        let directory = self.deps.database.directory().await.map_err(Trouble::Database)?;
        self.deps.board.publish(&directory).await.map_err(Trouble::Board)?;
        self.published = Some((directory.version, Instant::now()));
        self.superseded = None;
        Ok(())
    }

    /// Says what is wrong, and mends a board that is gone.
    async fn tell(&mut self, trouble: &Trouble) {
        match trouble {
            Trouble::Database(error) => {
                tracing::warn!(event = "directory_unread", %error, "the directory cannot be read")
            }
            // Another worker has published a newer one between our reading and our publishing: once, at most.
            Trouble::Board(BoardError::Superseded { there, .. }) if self.superseded != Some(*there) => {
                self.superseded = Some(*there);
            }
            Trouble::Board(error @ BoardError::Superseded { .. }) => tracing::error!(
                event = "directory_behind",
                %error,
                "ingest works with a newer directory than the database holds: was the database restored?"
            ),
            Trouble::Board(error) => {
                tracing::warn!(event = "directory_unpublished", %error, "the directory cannot be published yet");
                if *error == BoardError::Missing
                    && let Err(error) = self.deps.stream.prepare().await
                {
                    tracing::warn!(event = "stream_not_prepared", %error, "the stream cannot be made ready yet");
                }
            }
        }
    }
}
