//! The end of a process: one owner of signals, one order of steps.
//!
//! A signal, or a critical task that ends by itself, makes the process not ready; then tasks are asked to stop and
//! have a limited time to finish what they have in hand, and what is left is cut off; then what they worked with is
//! closed, which has a limit of its own. A second signal cuts everything off at once. Unfinished work is safe to cut:
//! it was not acknowledged and comes again.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::config;
use crate::ops::Health;

/// What tasks need to know of the end. Cheap to clone; every clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Whether the end is near: others should get what would come here. Asked with every answer, so without a lock.
    leaving: AtomicBool,
    /// Cancelled when work should stop.
    stop: CancellationToken,
    /// Cancelled when work is cut off.
    cut: CancellationToken,
    tasks: TaskTracker,
    /// The critical task that ended by itself, and how.
    failure: OnceLock<String>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Asked to, and everything was finished.
    Requested,
    /// A critical task ended by itself, as the sentence says.
    Failed(String),
    /// Not everything was finished, or closed, in time.
    Overdue,
    /// A second signal came.
    Forced,
}

impl Ended {
    /// For the supervisor: 0 after a finished request, 1 after a failure, 2 when work was cut off.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Requested => 0,
            Self::Failed(_) => 1,
            Self::Overdue | Self::Forced => 2,
        }
    }
}

impl Shutdown {
    /// Nothing is requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when work should stop. Take nothing new then, finish what is in hand, and end.
    pub fn token(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// Whether the end is near, though work goes on: whoever asks should go elsewhere next time.
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed)
    }

    /// Whether work should stop.
    pub fn is_requested(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Resolves when work should stop.
    pub async fn requested(&self) {
        self.0.stop.cancelled().await;
    }

    /// Asks all tasks to stop, as a signal does.
    pub fn request(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
        self.0.stop.cancel();
    }

    /// Runs a task that should end by itself, soon; the end of the process waits for it.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.0.cut.clone();
        self.0.tasks.spawn(async move {
            cut.run_until_cancelled(task).await;
        });
    }

    /// Runs a task that the process cannot do without: should it end before it was asked to, well or badly, the
    /// process shuts down and says so.
    pub fn spawn_critical<E>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: Display + Send + 'static,
    {
        let (this, cut) = (self.clone(), self.0.cut.clone());
        // A task of its own, so that its panic is a result here.
        let work = tokio::spawn(async move { cut.run_until_cancelled(task).await });
        self.0.tasks.spawn(async move {
            let how = match work.await {
                Ok(None) => return,
                Ok(Some(Ok(()))) if this.is_requested() => return,
                Ok(Some(Ok(()))) => "ended by itself".to_owned(),
                Ok(Some(Err(error))) => format!("failed: {error}"),
                Err(_) => "panicked".to_owned(),
            };
            error!(event = "task_ended", task = name, "{name} {how}");
            let _ = this.0.failure.set(format!("{name} {how}"));
            this.request();
        });
    }

    /// Waits for a signal or a failure and carries out the end, of which `close` is the last step: connections and
    /// files, which tasks needed until then. It returns when everything was finished or cut off; flush telemetry after
    /// it. To be called once, by the binary.
    ///
    /// # Errors
    /// When the operating system refuses to deliver signals.
    pub async fn run(
        &self,
        settings: &config::Server,
        health: &Health,
        close: impl Future<Output = ()>,
    ) -> io::Result<Ended> {
        Ok(self.run_on(Signals::install()?, settings, health, close).await)
    }

    /// [`Shutdown::run`] with signals from anywhere.
    async fn run_on(
        &self,
        mut signals: impl Asks,
        settings: &config::Server,
        health: &Health,
        close: impl Future<Output = ()>,
    ) -> Ended {
        let first = tokio::select! {
            name = signals.next() => Some(name),
            () = self.requested() => None,
        };
        if let Some(name) = first {
            info!(event = "shutdown", signal = name, "shutting down");
        }
        health.drain();
        self.0.leaving.store(true, Ordering::Relaxed);
        // A proxy needs the time to notice; a person at the keyboard does not want to wait for it.
        if let (Some(time), Some(TERMINATE)) = (settings.unready_time, first) {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                _ = signals.next() => {}
            }
        }
        self.request();
        self.0.tasks.close();
        let mut ended = in_time(self.0.tasks.wait(), settings.drain_timeout, &mut signals).await;
        if let Err(ended) = &ended {
            let tasks = self.0.tasks.len();
            warn!(event = "shutdown_cut", tasks, "cutting off unfinished work: {ended:?}");
            self.0.cut.cancel();
        }
        if ended != Err(Ended::Forced) {
            let closed = in_time(close, settings.close_timeout, &mut signals).await;
            if let Err(ended) = &closed {
                warn!(event = "shutdown_unclosed", "ending without having closed everything: {ended:?}");
            }
            ended = ended.and(closed);
        }
        let failure = self.0.failure.get().cloned().map(Ended::Failed);
        failure.or(ended.err()).unwrap_or(Ended::Requested)
    }
}

/// Waits for a step of the end, no longer than its limit and not beyond a further signal.
async fn in_time(
    step: impl Future<Output = ()>,
    limit: Duration,
    signals: &mut impl Asks,
) -> Result<(), Ended> {
    tokio::select! {
        () = step => Ok(()),
        () = tokio::time::sleep(limit) => Err(Ended::Overdue),
        _ = signals.next() => Err(Ended::Forced),
    }
}

/// The signal of orchestrators and service managers.
const TERMINATE: &str = "SIGTERM";

/// What asks a process to end: signals, or a test.
trait Asks: Send {
    /// Waits for the next one and names it.
    fn next(&mut self) -> impl Future<Output = &'static str> + Send;
}

/// The signals that ask a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

impl Asks for Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => TERMINATE,
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests;
