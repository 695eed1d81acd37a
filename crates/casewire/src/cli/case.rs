//! Cases, and events that became none.

use casewire_domain::case::CaseStatus;
use casewire_domain::settle::Verdict;
use casewire_domain::{CaseNumber, DedupeId, MessageId};
use clap::{Args, Subcommand};

use super::AsJson;

#[derive(Subcommand)]
pub enum CaseCommand {
    /// List cases, the one that changed last first
    #[command(after_help = "Example:\n  casewire case list --status open")]
    List(CaseList),
    /// Show one case with its texts
    #[command(after_help = "Example:\n  casewire case show 00001001 --json")]
    Show {
        /// Its number
        number: CaseNumber,
        #[command(flatten)]
        output: AsJson,
    },
    /// Decide about a text that is held since nobody knows whether it was sent
    #[command(after_help = "Example:\n  casewire case resolve 00001001 019a… arrived")]
    Resolve {
        /// The case's number
        number: CaseNumber,
        /// The text's id, as `case show` tells it
        message: MessageId,
        /// It arrived; send it again (twice for who has it); or give it up
        #[arg(value_parser = verdict, value_name = "arrived|send-again|do-not-send")]
        verdict: Verdict,
    },
}

fn verdict(name: &str) -> Result<Verdict, String> {
    Verdict::parse(&name.replace('-', "_"))
        .ok_or_else(|| "one of arrived, send-again, do-not-send".to_owned())
}

#[derive(Args)]
pub struct CaseList {
    /// Only open, pending or closed ones
    #[arg(long, value_parser = status)]
    pub status: Option<CaseStatus>,
    /// Only of this contact's number
    #[arg(long, value_name = "NUMBER")]
    pub contact: Option<String>,
    /// Only of this line
    #[arg(long, value_name = "ID")]
    pub line: Option<String>,
    /// Most cases to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub limit: u64,
    #[command(flatten)]
    pub output: AsJson,
}

fn status(name: &str) -> Result<CaseStatus, String> {
    CaseStatus::parse(name).ok_or_else(|| "one of open, pending, closed".to_owned())
}

#[derive(Subcommand)]
pub enum DeadLetterCommand {
    /// List dead letters, newest first
    #[command(after_help = "Example:\n  casewire dead-letter list")]
    List(AsJson),
    /// Show one with its request, as it came
    #[command(after_help = "Example:\n  casewire dead-letter show h:2c26…")]
    Show {
        /// Its id, as `dead-letter list` shows it
        #[arg(value_parser = dedupe_id)]
        id: DedupeId,
    },
    /// Have a worker handle one again
    #[command(after_help = "Example:\n  casewire dead-letter replay h:2c26…")]
    Replay {
        /// Its id, as `dead-letter list` shows it
        #[arg(value_parser = dedupe_id)]
        id: DedupeId,
    },
}

fn dedupe_id(text: &str) -> Result<DedupeId, String> {
    DedupeId::new(text).ok_or_else(|| "not an event's id".to_owned())
}
