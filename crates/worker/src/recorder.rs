//! What came of attempts to send, written in batches. An outcome that is lost with the process leaves its
//! text uncertain, so outcomes are written as soon as they are known.

use std::convert::Infallible;
use std::sync::Arc;

use casewire_domain::command::Command;
use casewire_runtime::config;
use casewire_runtime::shutdown::Shutdown;
use casewire_store::Error;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::Deps;
use crate::backoff::Backoff;
use crate::batch::{self, Patience};
use crate::metrics::Metrics;

/// Starts the recorder; what is sent to it is written, and `settled` is told, since later texts of the same
/// conversations may go. It ends when every sender of outcomes is gone and all are written; without it every text would
/// be held as uncertain, so the process does not go on alone.
pub(crate) fn start(
    shutdown: &Shutdown,
    deps: &Arc<Deps>,
    metrics: &Arc<Metrics>,
    settings: &config::Sender,
    patience: Patience,
    settled: Arc<Notify>,
) -> mpsc::Sender<Command> {
    // As many as can be under way: an attempt that ends never waits for room.
    let room = settings.concurrency.get() as usize;
    let (outcomes, due) = mpsc::channel(room);
    let (aside, stuck) = mpsc::channel(room);
    let recorder = Recorder {
        deps: deps.clone(),
        metrics: metrics.clone(),
        settled,
        backoff: Backoff::new(settings.poll_interval, settings.retry_first),
        most: settings.record_batch.get() as usize,
        patience,
    };
    shutdown.spawn_critical("recorder", async move {
        tokio::join!(recorder.all(due, aside), recorder.stuck(stuck));
        Ok::<(), Infallible>(())
    });
    outcomes
}

/// Tries for as long as the process lives: it alone knows the outcomes. Should it end before they are written, their
/// texts are held once their leases have run out.
struct Recorder {
    deps: Arc<Deps>,
    metrics: Arc<Metrics>,
    settled: Arc<Notify>,
    backoff: Backoff,
    most: usize,
    patience: Patience,
}

impl Recorder {
    /// Writes what is due, and puts aside what is stuck: once there is no room for more of that, everything waits.
    async fn all(&self, mut due: mpsc::Receiver<Command>, aside: mpsc::Sender<Command>) {
        let mut batch = Vec::new();
        while due.recv_many(&mut batch, self.most).await > 0 {
            for command in self.write(std::mem::take(&mut batch)).await {
                // Whoever takes them lives as long as this.
                let _ = aside.send(command).await;
            }
        }
    }

    /// Writes outcomes, together or else each by itself, and waits while the database is away. Comes back with those
    /// that cannot be written though it is well: their rows are locked, or it refuses them.
    async fn write(&self, mut commands: Vec<Command>) -> Vec<Command> {
        let mut stuck = Vec::new();
        let mut backoff = self.backoff.clone();
        let mut most = commands.len();
        while !commands.is_empty() {
            let count = most.min(commands.len());
            let error = match self.attempt(commands[..count].to_vec()).await {
                Ok(refused) => {
                    commands.drain(..count);
                    stuck.extend(refused);
                    backoff.reset();
                    continue;
                }
                Err(error) => error,
            };
            let outcomes = commands.len();
            tracing::warn!(event = "outcome_waits", outcomes, %error, "outcomes of sends cannot be written yet");
            if self.deps.database.probe().await.is_err() {
                backoff.pause(&CancellationToken::new()).await;
            } else if count > 1 {
                most = 1;
            } else {
                stuck.extend(commands.drain(..count));
            }
        }
        stuck
    }

    /// Writes what is stuck, one at a time, so that it takes one connection and holds up nobody else.
    async fn stuck(&self, mut aside: mpsc::Receiver<Command>) {
        let mut stuck = Vec::new();
        let mut backoff = self.backoff.clone();
        while !stuck.is_empty() || aside.recv_many(&mut stuck, self.most).await > 0 {
            for command in std::mem::take(&mut stuck) {
                match self.hand_in(command.clone()).await {
                    Ok(()) => backoff.reset(),
                    Err(_) => stuck.push(command),
                }
            }
            if !stuck.is_empty() {
                tracing::warn!(
                    event = "outcome_stuck",
                    outcomes = stuck.len(),
                    "outcomes of sends cannot be written"
                );
                backoff.pause(&CancellationToken::new()).await;
            }
            while stuck.len() < self.most
                && let Ok(command) = aside.try_recv()
            {
                stuck.push(command);
            }
        }
    }

    /// Tries once; comes back with what could not be carried out.
    async fn attempt(&self, commands: Vec<Command>) -> Result<Vec<Command>, Error> {
        let commands: Arc<[Command]> = commands.into();
        let results = batch::attempt(self.deps.database.as_ref(), commands.clone(), &|| true).await?;
        let mut refused = Vec::new();
        for (command, result) in commands.iter().zip(results) {
            match result {
                Ok(outcome) => self.metrics.decided([&outcome]),
                Err(_) => refused.push(command.clone()),
            }
        }
        self.settled.notify_one();
        Ok(refused)
    }

    async fn hand_in(&self, command: Command) -> Result<(), Error> {
        let database = self.deps.database.as_ref();
        let outcomes = batch::handle(database, vec![command], self.patience, &|| true).await?;
        self.metrics.decided(&outcomes);
        self.settled.notify_one();
        Ok(())
    }
}
