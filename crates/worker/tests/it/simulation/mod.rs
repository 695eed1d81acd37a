//! The worker's own tasks in a world that is made up: stream, database, provider and clock are models, and a seed
//! decides what goes wrong, when. Hours pass in milliseconds, and a seed that fails fails again.
//!
//! `CASEWIRE_SEEDS` says how many seeds are played, `CASEWIRE_SEED` plays one and tells what happens in it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail loudly, and a seed tells its story"
)]

mod check;
mod database;
mod dice;
mod provider;
mod story;
mod stream;
mod tables;
mod words;
mod world;

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};

use story::play;
use world::{Safeguard, Tally};

/// Where the provider's callbacks go.
const PUBLIC_URL: &str = "https://casewire.test";

/// How many seeds are played unless somebody asks for more.
const SEEDS: u64 = 10_000;

fn setting(name: &str) -> Result<Option<u64>> {
    let value = env::var(name).ok();
    value.map(|value| value.parse().with_context(|| format!("{name} is no number"))).transpose()
}

/// Plays seeds on every core. What came of all of them together, or the first that fails and how to play it again.
fn play_all(seeds: u64) -> Result<Tally> {
    let next = AtomicU64::new(0);
    let cores = std::thread::available_parallelism()?.get();
    let work = || {
        let mut sum = BTreeMap::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return Ok(sum);
            }
            match play(seed, None, false) {
                Ok(report) => {
                    for (what, times) in report.tally {
                        *sum.entry(what).or_default() += times;
                    }
                }
                Err(what) => {
                    next.store(seeds, Ordering::Relaxed);
                    bail!(
                        "seed {seed}: {what}; once more: \
                         CASEWIRE_SEED={seed} cargo test -p casewire-worker --test it simulation::every -- --nocapture"
                    );
                }
            }
        }
    };
    let mut sum = Tally::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let part: Tally = thread.join().map_err(|_| anyhow::anyhow!("a seed panicked"))??;
            for (what, times) in part {
                *sum.entry(what).or_default() += times;
            }
        }
        Ok(sum)
    })
}

#[test]
fn every_text_ends_in_one_case_and_no_text_of_ours_is_sent_twice_whatever_goes_wrong() -> Result<()> {
    if let Some(seed) = setting("CASEWIRE_SEED")? {
        let report = play(seed, None, true).map_err(anyhow::Error::msg)?;
        eprintln!("seed {seed} is well: {:?}", report.tally);
        return Ok(());
    }
    let seeds = setting("CASEWIRE_SEEDS")?.unwrap_or(SEEDS);
    let tally = play_all(seeds)?;
    eprintln!("{seeds} seeds are well: {tally:?}");
    let happened = |what: &str| tally.get(what).copied().unwrap_or_default();
    // A world in which nothing goes wrong would show nothing.
    ensure!(happened("texts") > 3 * seeds && happened("taken later") > seeds / 20, "{tally:?}");
    ensure!(happened("deaths") > seeds / 10 && happened("refused") > 0, "{tally:?}");
    Ok(())
}

#[test]
fn a_seed_is_always_played_alike() {
    for seed in 0..50 {
        let prints: Vec<_> =
            (0..2).map(|_| play(seed, None, false).map(|report| report.fingerprint)).collect();
        assert_eq!(prints[0], prints[1], "seed {seed}");
    }
}

/// How many seeds it may take until somebody notices that a safeguard is missing.
const SOON: u64 = 300;

fn is_missed(safeguard: Safeguard) -> Result<String> {
    (0..SOON)
        .find_map(|seed| play(seed, Some(safeguard), false).err())
        .with_context(|| format!("nobody misses {safeguard:?} in {SOON} seeds"))
}

#[test]
fn a_safeguard_that_is_taken_away_is_missed() -> Result<()> {
    for (safeguard, complaints) in [
        (Safeguard::Once, &["stored 2 times", "answered twice"][..]),
        (Safeguard::SidsOnce, &["stored 2 times", "was told"]),
        (Safeguard::CommitBeforePost, &["the provider has 2", "the provider has 3"]),
        (Safeguard::Holding, &["the provider has 2", "the provider has 3"]),
        (Safeguard::AckAfterCommit, &["stored 0 times", "was told", "dead letters are"]),
        (Safeguard::Furthest, &["was told", "is still on its way"]),
    ] {
        let said = is_missed(safeguard)?;
        ensure!(complaints.iter().any(|it| said.contains(it)), "without {safeguard:?}: {said}");
    }
    Ok(())
}
