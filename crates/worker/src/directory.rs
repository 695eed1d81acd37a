//! Telling ingest of accounts and lines: whenever they change, and every minute in case the stream was wiped.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use casewire_bus::BoardError;
use casewire_runtime::config;
use tokio_util::sync::CancellationToken;

use crate::Deps;

/// Publishes until told to stop.
pub(crate) async fn publish(
    settings: config::Worker,
    deps: Arc<Deps>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let beat = deps.health.task("directory");
    let mut published: Option<(i64, Instant)> = None;
    while !stop.is_cancelled() {
        beat.now();
        match deps.store.directory_version().await {
            Ok(version) => {
                let current = published.is_some_and(|(known, at)| {
                    known == version && at.elapsed() < settings.directory_republish
                });
                if !current {
                    published = publish_once(&deps).await.map(|version| (version, Instant::now()));
                }
            }
            Err(error) => {
                tracing::debug!(event = "directory_unread", %error, "the directory's version cannot be read")
            }
        }
        // Waited out or stopped: the loop looks.
        let _ = stop.run_until_cancelled(tokio::time::sleep(settings.directory_poll)).await;
    }
    Ok(())
}

/// Publishes the directory as it stands; its version when it hangs there, by whoever's hand.
async fn publish_once(deps: &Deps) -> Option<i64> {
    let directory = deps
        .store
        .directory()
        .await
        .inspect_err(
            |error| tracing::warn!(event = "directory_unread", %error, "the directory cannot be read"),
        )
        .ok()?;
    match deps.board.publish(&directory).await {
        Ok(()) => Some(directory.version),
        // Another worker has read a newer one: there is nothing to add until the next look.
        Err(BoardError::Superseded { .. }) => None,
        Err(error) => {
            tracing::warn!(event = "directory_unpublished", %error, "the directory cannot be published yet");
            if error == BoardError::Missing
                && let Err(error) = deps.stream.prepare().await
            {
                tracing::warn!(event = "stream_not_prepared", %error, "the stream cannot be made ready yet");
            }
            None
        }
    }
}
