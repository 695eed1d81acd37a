//! The one way anything is decided: plan, load, decide, write, in one transaction a batch.

use std::sync::Arc;

use casewire_domain::command::Command;
use casewire_domain::decide::{Outcome, decide};
use casewire_domain::line::Rules;
use casewire_domain::plan::{Keys, plan};
use casewire_domain::state::State;

use crate::connections::Purpose;
use crate::error::Error;
use crate::transaction::Tx;
use crate::{Inner, Store, load, write};

/// How often a batch is tried, with all it needs looked up, when another transaction is in its way. A conflict then means
/// that somebody else went ahead, so each try finds a newer state; five in a row happen only to a batch with itself.
const CONFLICT_TRIES: u32 = 5;

impl Store {
    /// Decides a batch of commands in their order and writes what follows, all or nothing. An outcome for
    /// each command; a [`Error::Refused`] means that one of them cannot be written as it is.
    pub async fn handle(&self, commands: impl Into<Arc<[Command]>>) -> Result<Vec<Outcome>, Error> {
        let commands = commands.into();
        let purpose = Purpose::of(&commands);
        let _turn = self.turn(purpose).await?;
        // Not counted is the first, which takes all texts for new: one that is not is in conflict with itself.
        let mut tries = 0;
        loop {
            match self.handle_once(purpose, commands.clone(), tries > 0).await {
                Err(Error::Conflict(_)) if tries < CONFLICT_TRIES => tries += 1,
                result => return result.map_err(Error::persistent),
            }
        }
    }

    /// Decides one command.
    pub async fn handle_one(&self, command: Command) -> Result<Outcome, Error> {
        let outcomes = self.handle(vec![command]).await?;
        outcomes.into_iter().next().ok_or(Error::Interrupted)
    }

    /// `doubtful` as [`Keys::doubtful`].
    async fn handle_once(
        &self,
        purpose: Purpose,
        commands: Arc<[Command]>,
        doubtful: bool,
    ) -> Result<Vec<Outcome>, Error> {
        let texts = commands.iter().filter(|command| matches!(command, Command::Text(..))).count();
        let numbers = self.case_numbers(texts).await?;
        let taken = numbers.clone();
        let decided = self
            .in_tx_for(purpose, move |tx, inner| {
                Box::pin(async move {
                    let rules = inner.rules.read(&tx.connection).await?;
                    let mut state = load_for(tx, inner, &rules, &commands, doubtful).await?;
                    state.free_numbers = numbers;
                    state.reserve(commands.len());
                    let outcomes = fold(inner, &rules, &mut state, &commands);
                    let unused = std::mem::take(&mut state.free_numbers);
                    write::write(tx, state).await?;
                    Ok((outcomes, unused))
                })
            })
            .await;
        match decided {
            Ok((outcomes, unused)) => {
                self.inner.numbers.give_back(unused);
                Ok(outcomes)
            }
            Err(error) => {
                // Else they are lost: a gap, and never a number twice. What was in conflict was not committed, but only of
                // the first try is a known text the likely reason: in later ones it may be a number that another case has.
                if !doubtful && matches!(error, Error::Conflict(_)) {
                    self.inner.numbers.give_back(taken);
                }
                Err(error)
            }
        }
    }
}

async fn load_for(
    tx: &Tx,
    inner: &Inner,
    rules: &Rules,
    commands: &[Command],
    doubtful: bool,
) -> Result<State, Error> {
    let mut keys = Keys { doubtful, ..Keys::default() };
    for command in commands {
        plan(rules, command, &mut keys);
    }
    load::load(tx, inner, &keys).await
}

fn fold(inner: &Inner, rules: &Rules, state: &mut State, commands: &[Command]) -> Vec<Outcome> {
    let mut mint = || (inner.mint)();
    commands
        .iter()
        .map(|command| {
            let decision = decide(rules, state, command, &mut mint);
            state.apply(decision.effects);
            decision.outcome
        })
        .collect()
}
