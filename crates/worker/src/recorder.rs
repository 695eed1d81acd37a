//! What came of attempts to send, written in batches. An outcome that is lost with the process leaves its
//! text uncertain, so outcomes are written as soon as they are known.

use std::convert::Infallible;
use std::sync::Arc;

use casewire_domain::command::Command;
use casewire_runtime::config;
use casewire_runtime::shutdown::Shutdown;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::metrics::Metrics;
use crate::{Deps, batch};

/// Starts the recorder; what is sent to it is written, and `settled` is told, since later texts of the same
/// conversations may go. It ends when every sender of outcomes is gone; without it every text would be held as
/// uncertain, so the process does not go on alone.
pub(crate) fn start(
    shutdown: &Shutdown,
    deps: &Arc<Deps>,
    metrics: &Arc<Metrics>,
    settings: &config::Sender,
    settled: Arc<Notify>,
) -> mpsc::Sender<Command> {
    // As many as can be under way: an attempt that ends never waits for room.
    let (outcomes, mut due) = mpsc::channel(settings.concurrency.get() as usize);
    let (deps, metrics) = (deps.clone(), metrics.clone());
    let backoff = Backoff::new(settings.poll_interval, settings.retry_first);
    let most = settings.record_batch.get() as usize;
    shutdown.spawn_critical("recorder", async move {
        let mut batch = Vec::new();
        while due.recv_many(&mut batch, most).await > 0 {
            record(&deps, &metrics, std::mem::take(&mut batch), backoff.clone()).await;
            settled.notify_one();
        }
        Ok::<(), Infallible>(())
    });
    outcomes
}

/// Writes outcomes, trying for as long as the process lives: it alone knows them. Should it end before the
/// database is back, their texts are held once their leases have run out.
async fn record(deps: &Deps, metrics: &Metrics, commands: Vec<Command>, mut backoff: Backoff) {
    let never = CancellationToken::new();
    loop {
        match batch::handle(deps.database.as_ref(), commands.clone(), &|| true).await {
            Ok(outcomes) => {
                metrics.decided(&outcomes);
                return;
            }
            Err(error) => {
                let outcomes = commands.len();
                tracing::warn!(event = "outcome_waits", outcomes, %error, "outcomes of sends cannot be written yet");
                backoff.pause(&never).await;
            }
        }
    }
}
