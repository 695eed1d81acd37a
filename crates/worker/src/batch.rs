//! One batch of commands, to the end: handled, or set aside one by one. Only what is no command's fault comes
//! back as an error, so that the caller keeps the batch and waits.

use std::future::Future;
use std::pin::Pin;

use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_store::Error;

use crate::Database;

/// What came of each command, in order. A batch that cannot be written is split until the one command that
/// cannot stands alone; that one is set aside as a dead letter, the rest go through.
///
/// # Errors
/// Only those that blame no command: nothing is lost, and nothing doubled, by handing the same batch in again.
pub(crate) fn handle(
    database: &dyn Database,
    mut commands: Vec<Command>,
) -> Pin<Box<dyn Future<Output = Result<Vec<Outcome>, Error>> + Send + '_>> {
    Box::pin(async move {
        let error = match database.handle(commands.clone()).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(error) if error.blames_input() => error,
            Err(error) => return Err(error),
        };
        if commands.len() > 1 {
            let rest = commands.split_off(commands.len() / 2);
            let mut outcomes = handle(database, commands).await?;
            outcomes.extend(handle(database, rest).await?);
            return Ok(outcomes);
        }
        match commands.pop() {
            Some(command) => Ok(vec![set_aside(database, command, &error).await?]),
            None => Ok(Vec::new()),
        }
    })
}

/// Keeps the event of a command that cannot be written. A command without an event is dropped with a word
/// to the operator: nobody's text is lost with it.
///
/// # Errors
/// When the event cannot even be kept so: whoever has it must not let go of it.
async fn set_aside(database: &dyn Database, command: Command, error: &Error) -> Result<Outcome, Error> {
    tracing::error!(event = "command_set_aside", %error, "a command cannot be carried out and is set aside");
    let reason = error.to_string();
    let Some(facts) = command.event().cloned() else { return Ok(Outcome::SetAside(reason)) };
    let outcomes = database.handle(vec![Command::SetAside(facts, reason)]).await?;
    outcomes.into_iter().next().ok_or(Error::Interrupted)
}
