//! One batch of commands, to the end: handled, or told what is wrong with each. Only what is no command's fault
//! comes back as an error, so that the caller keeps the batch and waits.

use std::future::Future;
use std::pin::Pin;

use casewire_domain::command::{Command, EventFacts};
use casewire_domain::decide::Outcome;
use casewire_store::Error;

use crate::Database;

/// Commands that were too slow alone before the database itself is held to be slow, as long as none went through.
const TOO_SLOW_ALONE: u32 = 2;

/// What came of each command, in order: its outcome, or why it cannot be carried out. A batch that cannot be written
/// is split until what cannot stands alone; the rest go through.
///
/// # Errors
/// Only those that blame no command: nothing is lost, and nothing doubled, by handing the same batch in again.
pub(crate) async fn attempt(
    database: &dyn Database,
    commands: Vec<Command>,
) -> Result<Vec<Result<Outcome, Error>>, Error> {
    let mut split = Split { database, went_through: false, slow_alone: 0 };
    let alone = commands.len() == 1;
    split.halve(commands, alone).await
}

/// What came of each command, in order; what cannot be carried out is set aside as a dead letter.
///
/// # Errors
/// Only those that blame no command, or when an event cannot even be set aside: whoever has it must not let go of it.
pub(crate) async fn handle(database: &dyn Database, commands: Vec<Command>) -> Result<Vec<Outcome>, Error> {
    let attempted = attempt(database, commands.clone()).await?;
    let mut outcomes = Vec::with_capacity(attempted.len());
    for (command, result) in commands.into_iter().zip(attempted) {
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
    event: Option<&EventFacts>,
    reason: String,
) -> Result<Outcome, Error> {
    tracing::error!(event = "command_set_aside", reason, "a command cannot be carried out and is set aside");
    let Some(facts) = event.cloned() else { return Ok(Outcome::SetAside(reason)) };
    let outcomes = database.handle(vec![Command::SetAside(facts, reason)]).await?;
    outcomes.into_iter().next().ok_or(Error::Interrupted)
}

/// A batch that is being split.
struct Split<'a> {
    database: &'a dyn Database,
    went_through: bool,
    slow_alone: u32,
}

type Results = Result<Vec<Result<Outcome, Error>>, Error>;

impl Split<'_> {
    fn halve(
        &mut self,
        mut commands: Vec<Command>,
        alone: bool,
    ) -> Pin<Box<dyn Future<Output = Results> + Send + '_>> {
        Box::pin(async move {
            let error = match self.database.handle(commands.clone()).await {
                Ok(outcomes) => {
                    self.went_through = true;
                    return Ok(outcomes.into_iter().map(Ok).collect());
                }
                Err(error) => error,
            };
            if !error.blames_input() && !matches!(error, Error::TooSlow(_)) {
                return Err(error);
            }
            if commands.len() > 1 {
                let rest = commands.split_off(commands.len() / 2);
                let mut results = self.halve(commands, alone).await?;
                results.extend(self.halve(rest, alone).await?);
                return Ok(results);
            }
            if matches!(error, Error::TooSlow(_)) && !alone && !self.went_through {
                self.slow_alone += 1;
                if self.slow_alone >= TOO_SLOW_ALONE {
                    return Err(error);
                }
            }
            Ok(vec![Err(error)])
        })
    }
}
