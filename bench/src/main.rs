//! Measures casewire against the limit of the hardware and against what people use today. Every claim is a ratio of
//! two sides that were measured in turns, in one run.

mod chart;
mod finding;
mod load;
mod measures;
mod origin;
mod plan;
mod progress;
mod report;
mod results;
mod stage;
mod statistics;
mod vitals;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use clap::builder::PossibleValuesParser;

use plan::Plan;
use progress::Progress;
use results::Results;
use stage::programs::{Programs, here, root};

// What SQLite can do at most is measured in this process: with what casewire's has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures casewire on private servers, and writes bench/results.
#[derive(Parser)]
#[command(name = "casewire-bench", after_help = EXAMPLES)]
struct Arguments {
    /// A short run, which shows that everything works and is not published
    #[arg(long)]
    quick: bool,
    /// Measures to carry out, with commas between [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// Rounds of each comparison, of short windows and of workers twice as many less one; fewer than five are not
    /// published, nor is another build than `dist` [default: 5, quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Measure the programs beside this one as they are, without building them
    #[arg(long)]
    as_built: bool,
    /// Say what is measured, and end
    #[arg(long)]
    list: bool,
}

const EXAMPLES: &str = "\
Examples:
  make bench                                            everything, as it is published
  make bench-quick                                      two minutes, published nowhere
  make bench ONLY=headline,ingest ARGS='--rounds 7'

Needs PostgreSQL with pgbench, node, and what `scripts/tools.sh bench` installs. The machine should be quiet.";

fn names() -> PossibleValuesParser {
    measures::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().into()
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        for (name, what) in measures::ALL {
            writeln!(io::stdout(), "{name:<14} {what}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    casewire_runtime::crypto::install_provider();
    // One thread for what measures, one for the load: the other cores belong to what is measured.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    // Before anything is built: somebody may commit meanwhile.
    let commit = origin::commit();
    let plan = Plan {
        quick: arguments.quick,
        rounds: arguments.rounds.map_or(if arguments.quick { 1 } else { 5 }, usize::from),
        programs: if arguments.as_built { Programs::find()? } else { Programs::build()? },
        commit,
        progress: Progress::new(),
    };
    let disk = origin::disk();
    ensure!(
        disk != "tmpfs" || plan.quick,
        "the folder of temporary files lies in memory ({disk}), where nothing is durable: set TMPDIR to one on a disk"
    );
    let all: Vec<&str> = measures::ALL.iter().map(|(name, _)| *name).collect();
    let chosen = all
        .iter()
        .filter(|name| arguments.only.is_empty() || arguments.only.iter().any(|only| only == *name));
    let results = if plan.is_published() {
        Results::at(here().join("results")).shown_on(root().join("docs/performance.md"))?
    } else {
        Results::at(root().join("target/bench-quick"))
    };
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for name in chosen {
        let outcome = measures::run(name, &plan).await;
        plan.progress.end();
        let new = match outcome {
            Ok(new) => origin::note(new, &plan)?,
            Err(error) => {
                writeln!(io::stderr(), "{name} failed: {error:#}")?;
                failed.push(*name);
                Vec::new()
            }
        };
        // At once: a long run that is interrupted keeps what it has.
        results.replace(name, new.clone(), &all)?;
        found.extend(new);
    }
    let mut out = io::stdout();
    writeln!(out, "{}", report::table(&found))?;
    writeln!(out, "Written to {}: latest.md, latest.json and two plots.", results.folder().display())?;
    if !failed.is_empty() {
        writeln!(io::stderr(), "Failed, and not in the results: {}", failed.join(", "))?;
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
