//! The fault programme: real processes under load, faults by the row, and what must hold after each.
//!
//! `cargo test` plays a short subset; `make chaos` plays all rows, `make chaos ROWS="3 11"` some, and keeps what came of
//! them in `tests/chaos/results`. The exit status is the verdict.

#![expect(clippy::unwrap_used, reason = "a row that cannot be played fails loudly")]

mod board;
mod books;
mod found;
mod invariants;
mod kit;
mod load;
mod options;
mod plan;
mod probe;
mod proxy;
mod report;
mod rows;
mod spoilt;
mod stage;
mod vitals;

use std::process::ExitCode;
use std::time::Instant;

use board::{Board, say};
use options::Options;
use report::{Result, Verdict};
use rows::{Knobs, Outcome, Row};

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(mistake) => {
            say(&mistake);
            return ExitCode::from(2);
        }
    };
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| options.wants(row)).collect();
    if options.list {
        rows.iter().for_each(|row| say(&format!("{}: test", options::name(row))));
        return ExitCode::SUCCESS;
    }
    if rows.is_empty() {
        return ExitCode::SUCCESS;
    }
    let unnoticed = spoilt::unnoticed();
    if !unnoticed.is_empty() {
        say(&format!("The checker is not to be trusted:\n{}", unnoticed.join("\n")));
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let results = runtime.block_on(play(&rows, &options));
    say(&format!("\n{}", report::markdown(&results)));
    let green = results.iter().all(|result| result.verdict == Verdict::Held);
    if green { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays the rows one after the other.
async fn play(rows: &[Row], options: &Options) -> Vec<Result> {
    let seed = options.seed.unwrap_or_else(|| chrono::Utc::now().timestamp().cast_unsigned());
    say(&format!("seed {seed} (the same faults again: --seed {seed})"));
    let board = Board::of(&rows.iter().map(|row| (row.number, row.fault)).collect::<Vec<_>>());
    let _drawing = board.draw();
    let mut results = Vec::new();
    for row in rows {
        let knobs = Knobs {
            seed: seed ^ u64::from(row.number),
            full: options.full(),
            rate: options.rate.map(f64::from),
            texts: options.texts,
            kills: options.kills,
            board: board.clone(),
        };
        board.begin(row.number);
        let result = play_one(row, knobs).await;
        if options.full() {
            report::keep(&result).unwrap();
        }
        board.end(row.number, result.verdict, &result.line());
        results.push(result);
    }
    results
}

/// Plays a row; one that panics is broken, and the next is played all the same.
async fn play_one(row: &Row, knobs: Knobs) -> Result {
    let (start, at, seed) = (Instant::now(), chrono::Utc::now(), knobs.seed);
    let asked = knobs.asked();
    let played = tokio::spawn((row.play)(knobs)).await;
    let outcome = played.unwrap_or_else(|panic| {
        let mut outcome = Outcome::default();
        outcome.insist(false, || {
            let panic: String = panic.to_string().chars().take(2_000).collect();
            format!("the row could not be played to its end: {panic}")
        });
        outcome
    });
    let verdict = match (&outcome.not_run, outcome.broken.is_empty()) {
        (Some(_), _) => Verdict::NotRun,
        (None, true) => Verdict::Held,
        (None, false) => Verdict::Broken,
    };
    let total = outcome.broken.len();
    let few = outcome.broken.iter().take(20).map(|broken| format!("{}: {}", broken.invariant, broken.how));
    let more = (total > 20).then(|| format!("and {} more", total - 20));
    Result {
        row: row.number,
        fault: row.fault.to_owned(),
        expected: row.expect.to_owned(),
        verdict,
        notes: outcome.not_run.clone().into_iter().chain(few).chain(more).chain(outcome.notes).collect(),
        seed,
        commit: report::commit(),
        knobs: asked,
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        at: at.format("%Y-%m-%d %H:%M UTC").to_string(),
        took_s: rows::round(start.elapsed().as_secs_f64()),
        figures: outcome.figures,
    }
}
