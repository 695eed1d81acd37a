//! What came of attempts to send, written in batches. An outcome that is lost with the process leaves its
//! text uncertain, so outcomes are written as soon as they are known.

use std::sync::Arc;

use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_runtime::config;
use casewire_runtime::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::metrics::WorkerMetrics;
use crate::{Deps, batch};

/// Most outcomes of one transaction.
const BATCH: usize = 256;

/// Starts the recorder; what is sent to it is written. It ends when every sender of outcomes is gone.
pub(crate) fn start(
    shutdown: &Shutdown,
    deps: &Arc<Deps>,
    metrics: &Arc<WorkerMetrics>,
    settings: &config::Sender,
) -> mpsc::Sender<Command> {
    // As many as can be under way: an attempt that ends never waits for room.
    let (outcomes, mut due) = mpsc::channel(settings.concurrency.get() as usize);
    let (deps, metrics) = (deps.clone(), metrics.clone());
    let backoff = Backoff::new(settings.poll_interval, settings.retry_first);
    shutdown.spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while due.recv_many(&mut batch, BATCH).await > 0 {
            record(&deps, &metrics, std::mem::take(&mut batch), backoff.clone()).await;
        }
    });
    outcomes
}

/// Writes outcomes, trying for as long as the process lives: it alone knows them.
async fn record(deps: &Deps, metrics: &WorkerMetrics, commands: Vec<Command>, mut backoff: Backoff) {
    let never = CancellationToken::new();
    loop {
        match batch::handle(&deps.store, commands.clone()).await {
            Ok(outcomes) => {
                let doubled =
                    outcomes.iter().filter(|o| matches!(o, Outcome::Attempted { duplicate_send: true }));
                metrics.duplicate_sends(doubled.count());
                return;
            }
            Err(error) => {
                tracing::warn!(event = "outcome_waits", %error, "outcomes of sends cannot be written yet");
                backoff.pause(&never).await;
            }
        }
    }
}
