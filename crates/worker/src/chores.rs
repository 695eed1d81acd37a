//! What is looked after now and then: attempts whose process is gone, statuses that came before their text
//! was known, replays somebody asked for, and gauges.

use std::convert::Infallible;
use std::sync::Arc;

use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::outbox::AttemptOutcome;
use casewire_runtime::config;
use casewire_runtime::ops::Beat;
use casewire_store::{Error, ReplayRequest};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::batch::{self, Patience};
use crate::metrics::Metrics;
use crate::{Deps, reading};

/// Counting how cases stand takes longer the more of them are open. It rests so many times as long as it took.
const COUNTING_PART: u32 = 50;

/// Looks after things until told to stop.
pub(crate) async fn run(
    settings: config::Worker,
    deps: Arc<Deps>,
    metrics: Arc<Metrics>,
    queued: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let beat = deps.health.task("chores");
    let interval = settings.chores_interval;
    let mut backoff = Backoff::new(interval, settings.retry_most);
    let now = Instant::now();
    let mut chores = Chores {
        settings,
        deps,
        metrics,
        queued,
        beat,
        stop: stop.clone(),
        backlog_at: now,
        depth_at: now,
        standing_at: now,
    };
    while !stop.is_cancelled() {
        chores.beat.now();
        let pause = if chores.all().await {
            backoff.reset();
            interval
        } else {
            backoff.next()
        };
        chores.standing().await;
        // Waited out or stopped: the loop looks.
        let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
    Ok(())
}

struct Chores {
    settings: config::Worker,
    deps: Arc<Deps>,
    metrics: Arc<Metrics>,
    queued: Arc<Notify>,
    beat: Beat,
    stop: CancellationToken,
    /// When what waits on the stream is to be counted again.
    backlog_at: Instant,
    /// The same of what waits in the database.
    depth_at: Instant,
    /// When it is to be counted again how cases stand.
    standing_at: Instant,
}

impl Chores {
    /// Does each, whatever became of the others. Whether all went well. The stream is looked at first, which needs no
    /// database: what waits there matters most when that is away.
    async fn all(&mut self) -> bool {
        self.backlog().await;
        let done = [
            ("lost attempts", self.lost_attempts().await),
            ("early statuses", self.ripe_statuses().await),
            ("replays", self.replays().await),
            ("gauges", self.depth().await),
        ];
        for (chore, result) in &done {
            if let Err(error) = result {
                tracing::warn!(event = "chore_failed", chore, %error, "a chore cannot be done now");
            }
        }
        done.iter().all(|(_, result)| result.is_ok())
    }

    fn most(&self) -> u64 {
        self.settings.chores_most.get().into()
    }

    /// An attempt whose lease ran out may have reached the provider: it is held, never sent again by itself.
    async fn lost_attempts(&self) -> Result<(), Error> {
        let lost = self.deps.database.lost_attempts(self.most()).await?;
        if lost.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            event = "attempts_lost",
            count = lost.len(),
            "attempts were lost with their process: they are looked for"
        );
        let uncertain = |(message_id, attempt)| Command::Attempted {
            message_id,
            attempt,
            outcome: AttemptOutcome::Uncertain,
            trace: None,
        };
        let commands = lost.into_iter().map(uncertain).collect();
        self.handle(commands, self.patience()).await?;
        Ok(())
    }

    async fn ripe_statuses(&self) -> Result<(), Error> {
        let ripe = self.deps.database.ripe_statuses(self.most(), self.settings.status_patience).await?;
        let commands: Vec<_> = ripe.iter().filter_map(|raw| reading::stored(raw)).collect();
        if !commands.is_empty() {
            self.handle(commands, self.patience()).await?;
        }
        Ok(())
    }

    /// One that fails is not tried again by itself: whoever asked is told, and the dead letter is still there.
    async fn replays(&self) -> Result<(), Error> {
        for replay in self.deps.database.open_replays(self.most()).await? {
            // Begun first: a dead letter that ends the process ends one, and not every next one with it.
            if !self.deps.database.begin_request(replay.id).await? {
                continue;
            }
            let replayed = self.replay(&replay).await;
            let outcome =
                replayed.unwrap_or_else(|error| format!("it cannot be handled now, ask again: {error}"));
            tracing::info!(event = "replayed", id = %replay.dedupe_id, outcome, "a dead letter was replayed");
            self.deps.database.finish_request(replay.id, outcome).await?;
        }
        Ok(())
    }

    async fn replay(&self, replay: &ReplayRequest) -> Result<String, Error> {
        let Some(raw) = &replay.raw else { return Ok("it is no dead letter any more".to_owned()) };
        let Some(command) = reading::stored(raw) else {
            return Ok("it still cannot be decoded".to_owned());
        };
        let outcome = self.handle(vec![command], Patience::NONE).await?.pop();
        Ok(match outcome {
            Some(Outcome::Placed { case, .. }) => format!("it is in case {case}"),
            Some(Outcome::SetAside(reason)) => format!("it is a dead letter still: {reason}"),
            Some(Outcome::Waiting) => "it waits for the text it speaks of".to_owned(),
            Some(Outcome::Duplicate) => "it had been handled before".to_owned(),
            _ => "it was handled".to_owned(),
        })
    }

    fn patience(&self) -> Patience {
        Patience::of(&self.settings)
    }

    async fn handle(&self, commands: Vec<Command>, patience: Patience) -> Result<Vec<Outcome>, Error> {
        let go_on = || {
            self.beat.now();
            !self.stop.is_cancelled()
        };
        let outcomes = batch::handle(self.deps.database.as_ref(), commands, patience, &go_on).await?;
        self.metrics.decided(&outcomes);
        if outcomes.iter().any(Outcome::may_have_queued) {
            self.queued.notify_one();
        }
        Ok(outcomes)
    }

    /// Counts what waits in the database, where it is time to. Where that fails the next look counts.
    async fn depth(&mut self) -> Result<(), Error> {
        if Instant::now() < self.depth_at {
            return Ok(());
        }
        let database = &self.deps.database;
        let (outbox, parked) = (database.outbox_depth().await?, database.dead_letter_depth().await?);
        self.metrics.depth.database(&outbox, &parked);
        self.depth_at = Instant::now() + self.settings.counting_interval;
        Ok(())
    }

    /// Counts how cases stand, where it is time to. Where that fails a later look counts; nothing else waits for it.
    async fn standing(&mut self) {
        let begun = Instant::now();
        if begun < self.standing_at {
            return;
        }
        match self.deps.database.standing().await {
            Ok(standing) => self.metrics.depth.standing(&standing),
            Err(error) => {
                tracing::debug!(event = "standing_unread", %error, "how cases stand cannot be read")
            }
        }
        let rest = begun.elapsed() * COUNTING_PART;
        self.standing_at = Instant::now() + self.settings.counting_interval.max(rest);
    }

    /// Counts what waits on the stream, where it is time to. Where that fails the next look counts.
    async fn backlog(&mut self) {
        if Instant::now() < self.backlog_at {
            return;
        }
        match self.deps.stream.backlog().await {
            Ok(backlog) => {
                self.metrics.depth.stream(&backlog);
                self.backlog_at = Instant::now() + self.settings.counting_interval;
            }
            Err(error) => {
                tracing::debug!(event = "backlog_unread", %error, "the stream's backlog cannot be read")
            }
        }
    }
}
