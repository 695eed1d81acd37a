//! One batch of commands, to the end: handled, or told what is wrong with each. Only what is no command's fault
//! comes back as an error, so that the caller keeps the batch and waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use casewire_domain::command::{Command, EventFacts};
use casewire_domain::decide::Outcome;
use casewire_runtime::config;
use casewire_store::Error;

use crate::Database;

/// What came of each command, in order: its outcome, or why it cannot be carried out. A batch that cannot be written
/// is split until what cannot stands alone; the rest go through. What is too slow alone is to blame only where the
/// database is well right after. `go_on` is asked before each further try.
///
/// # Errors
/// Only those that blame no command, and [`Error::Interrupted`] when it is not to go on: nothing is lost, and nothing
/// doubled, by handing the same batch in again.
pub(crate) async fn attempt(
    database: &dyn Database,
    commands: Arc<[Command]>,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Result<Outcome, Error>>, Error> {
    let mut results = Vec::with_capacity(commands.len());
    let mut pieces = VecDeque::from([commands]);
    let mut further = false;
    while let Some(piece) = pieces.pop_front() {
        if further && !go_on() {
            return Err(Error::Interrupted);
        }
        further = true;
        let error = match database.handle(piece.clone()).await {
            Ok(outcomes) => {
                results.extend(outcomes.into_iter().map(Ok));
                continue;
            }
            Err(error) => error,
        };
        let slow = matches!(error, Error::TooSlow(_));
        match piece.len() {
            _ if !slow && !error.blames_input() => return Err(error),
            0 | 1 if slow && database.probe().await.is_err() => return Err(error),
            0 | 1 => results.push(Err(error)),
            // Each further piece with a slow command in it costs as much time as a statement may take.
            _ if slow => put_first(&mut pieces, &piece, 1),
            whole => put_first(&mut pieces, &piece, whole.div_ceil(2)),
        }
    }
    Ok(results)
}

/// Puts commands before the other pieces, so many in each.
fn put_first(pieces: &mut VecDeque<Arc<[Command]>>, commands: &[Command], most: usize) {
    for piece in commands.chunks(most).rev() {
        pieces.push_front(piece.into());
    }
}

/// How often a command is tried that cannot be carried out though the database answers. The pipelines leave the
/// stream to count; whoever else has commands tries them here, one try after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    tries: u32,
    pause: Duration,
}

impl Patience {
    pub(crate) fn of(settings: &config::Worker) -> Self {
        Self { tries: settings.logic_tries.get(), pause: settings.logic_pause }
    }

    /// One try, where a person sees what comes of it and asks again.
    pub(crate) const NONE: Self = Self { tries: 1, pause: Duration::ZERO };
}

/// As [`attempt`], with patience, and what cannot be carried out at its end is set aside as a dead letter.
///
/// # Errors
/// Those of [`attempt`], when an event cannot even be set aside, and when a command was too slow, after all others
/// were handled: whoever has it must not let go of it.
pub(crate) async fn handle(
    database: &dyn Database,
    commands: impl Into<Arc<[Command]>>,
    patience: Patience,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Outcome>, Error> {
    let commands = commands.into();
    let mut results = attempt(database, commands.clone(), go_on).await?;
    for _ in 1..patience.tries {
        let is_refused = |result: &Result<_, Error>| result.as_ref().is_err_and(|it| !it.is_retryable());
        let refused: Vec<_> = (0..results.len()).filter(|at| is_refused(&results[*at])).collect();
        if refused.is_empty() {
            break;
        }
        tracing::warn!(event = "commands_put_off", count = refused.len(), "commands are tried again");
        tokio::time::sleep(patience.pause).await;
        if !go_on() {
            return Err(Error::Interrupted);
        }
        let again = refused.iter().map(|at| commands[*at].clone()).collect();
        for (at, result) in refused.into_iter().zip(attempt(database, again, go_on).await?) {
            results[at] = result;
        }
    }
    let mut outcomes = Vec::with_capacity(results.len());
    for (command, result) in commands.iter().zip(results) {
        outcomes.push(match result {
            Ok(outcome) => outcome,
            // Nothing is known against a command that was slow once.
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => set_aside(database, command.event(), error.to_string()).await?,
        });
    }
    Ok(outcomes)
}

/// Keeps the event of a command that cannot be carried out. A command without an event is dropped with a word
/// to the operator: nobody's text is lost with it.
///
/// # Errors
/// When the event cannot even be kept so: whoever has it must not let go of it.
pub(crate) async fn set_aside(
    database: &dyn Database,
    event: Option<&Arc<EventFacts>>,
    reason: String,
) -> Result<Outcome, Error> {
    tracing::error!(event = "command_set_aside", reason, "a command cannot be carried out and is set aside");
    let Some(facts) = event.cloned() else { return Ok(Outcome::SetAside(reason)) };
    let outcomes = database.handle([Command::SetAside(facts, reason)].into()).await?;
    outcomes.into_iter().next().ok_or(Error::Interrupted)
}
