//! How a run is to go: how many rounds, how long, on which programs.

use std::time::Duration;

use anyhow::Result;

use crate::progress::Progress;
use crate::stage::programs::Programs;

pub(crate) struct Plan {
    /// A short run, which shows that everything works.
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) programs: Programs,
    /// What is measured.
    pub(crate) commit: String,
    pub(crate) progress: Progress,
}

/// A claim rests on so many rounds at least,
const ENOUGH: usize = 5;
/// and on the build that images hold.
const PUBLISHED: &str = "dist";

impl Plan {
    /// Whether what is found may be published.
    pub(crate) fn is_published(&self) -> bool {
        !self.quick && self.rounds >= ENOUGH && self.programs.profile == PUBLISHED
    }

    /// Rounds where there is time for twice as many, as for windows of seconds, or where more are needed; less one, so that
    /// there is a middle one. The median of more wanders less.
    pub(crate) fn more_rounds(&self) -> usize {
        self.rounds * 2 - 1
    }

    /// How long a window of load is.
    pub(crate) fn window(&self) -> Duration {
        if self.quick { Duration::from_millis(700) } else { Duration::from_secs(6) }
    }

    /// A size, or that of a short run.
    pub(crate) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Plays two sides in turns, A B A B …, so many rounds: what each found in each.
    pub(crate) async fn turns<S, T>(
        &self,
        rounds: usize,
        names: [&str; 2],
        mut one: impl AsyncFnMut() -> Result<S>,
        mut other: impl AsyncFnMut() -> Result<T>,
    ) -> Result<Vec<(S, T)>> {
        let mut found = Vec::with_capacity(rounds);
        for round in 1..=rounds {
            let step = |name: &str| self.progress.step(&format!("{name}, round {round}"));
            step(names[0]);
            let first = one().await?;
            step(names[1]);
            found.push((first, other().await?));
        }
        Ok(found)
    }

    /// Plays one side: what it found in each round.
    pub(crate) async fn rounds<S>(
        &self,
        name: &str,
        mut one: impl AsyncFnMut() -> Result<S>,
    ) -> Result<Vec<S>> {
        let mut found = Vec::with_capacity(self.rounds);
        for round in 1..=self.rounds {
            self.progress.step(&format!("{name}, round {round}"));
            found.push(one().await?);
        }
        Ok(found)
    }
}
