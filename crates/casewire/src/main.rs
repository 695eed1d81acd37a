//! The casewire command: every role, and the commands beside them. It reads the configuration, builds what
//! it says, and runs it; all that decides anything is in the libraries.

#![expect(
    unreachable_pub,
    reason = "a program has no public items: `pub` says what a module offers the others"
)]

mod answering;
mod backup;
mod cli;
mod commands;
mod data_dir;
mod installation;
mod keys;
mod logging;
mod measures;
mod printing;
mod process;
mod program;
mod roles;
mod table;
mod up;
mod wiring;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use cli::{Cli, Command};

// Many small buffers per webhook: this allocator is faster at them than the system's. On Linux it is SQLite's as well
// (see Cargo.toml).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    casewire_runtime::crypto::install_provider();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            printing::complain(format_args!("casewire: {}", sentence(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes. Many name their cause in their own text: that is not said twice.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    without_numbers(&said)
}

/// The system's own words for what went wrong end in a number that helps nobody.
fn without_numbers(said: &str) -> String {
    let mut parts = said.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, part| said + part.split_once(')').map_or(part, |(_, rest)| rest))
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime cannot start")?;
    let code = runtime.block_on(dispatch(cli));
    // What is left are connections nobody waits for any more.
    runtime.shutdown_background();
    code
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let place = cli.place;
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        Command::Up(args) => up::run(&place, args).await,
        Command::Ingest(args) => roles::ingest(&place, args).await,
        Command::Worker(args) => roles::worker(&place, args).await,
        Command::Desk(args) => roles::desk(&place, args).await,
        Command::Simulator(args) => commands::simulator::run(&place, args).await,
        Command::Migrate => commands::migrate::run(&place).await.map(done),
        Command::CheckConfig(args) => commands::check_config::run(&place, &args).map(done),
        Command::Healthcheck(args) => commands::healthcheck::run(&place, &args).await.map(done),
        Command::Line { command } => commands::line::run(&place, command).await.map(done),
        Command::Account { command } => commands::account::run(&place, command).await.map(done),
        Command::Case { command } => commands::case::run(&place, command).await.map(done),
        Command::Token { command } => commands::token::run(&place, command).await.map(done),
        Command::DeadLetter { command } => commands::dead_letter::run(&place, command).await.map(done),
        Command::Reconcile(args) => commands::reconcile::run(&place, args).await,
        Command::Metrics(args) => commands::metrics::run(&args).map(done),
        Command::Doctor(args) => commands::doctor::run(&place, &args).await,
        Command::Backup(args) => commands::backup::run(&place, &args).await.map(done),
        Command::Restore(args) => commands::restore::run(&place, &args).await.map(done),
        Command::Signature(args) => commands::signature::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_in_one_sentence_without_repeating_itself() {
        let cause = std::io::Error::from_raw_os_error(13);
        let error = anyhow::Error::new(cause).context("the folder cannot be written to");
        assert_eq!(sentence(&error), "the folder cannot be written to: Permission denied");
        let repeated = error.context("no start: the folder cannot be written to, it seems");
        assert_eq!(
            sentence(&repeated),
            "no start: the folder cannot be written to, it seems: Permission denied"
        );
    }
}
