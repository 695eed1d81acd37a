//! What can be typed.

mod case;
mod checking;
mod keeping;
mod line;
mod role;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use case::*;
pub use checking::*;
pub use keeping::*;
pub use line::*;
pub use role::*;

/// Texts to a phone number become support cases; agents' replies become texts.
#[derive(Parser)]
#[command(name = "casewire", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub place: Place,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  casewire up                                     everything in one process, with a simulated Twilio
  casewire line add --id main --number +15550100 \\
    --account-sid AC… --auth-token-file token.txt  a line of your own
  casewire case list                              what people texted

Settings are read from casewire.toml and from CASEWIRE_<SECTION>__<KEY>; `casewire check-config` shows them.";

/// Where casewire is.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Configuration file [default: casewire.toml in this folder, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "CASEWIRE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of `casewire up`: database, stream and master key [default: ./casewire-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run everything in one process, on embedded defaults
    #[command(after_help = "Example:\n  casewire up --data-dir /var/lib/casewire --listen 127.0.0.1:8080")]
    Up(Listen),
    /// Run the role that takes webhooks
    #[command(
        after_help = "Examples:\n  casewire ingest --config casewire.toml\n  casewire ingest --spill-dir /var/lib/casewire/spill"
    )]
    Ingest(IngestArgs),
    /// Run the role that makes cases and sends replies
    #[command(after_help = "Example:\n  casewire worker --config casewire.toml")]
    Worker(Listen),
    /// Run the role that serves the REST API
    #[command(after_help = "Example:\n  casewire desk --config casewire.toml --listen 127.0.0.1:8081")]
    Desk(Listen),
    /// Bring database and streams up to this version
    #[command(
        after_help = "Example:\n  casewire migrate --config casewire.toml\n\n`casewire up` does this by itself."
    )]
    Migrate,
    /// Run a stand-in for Twilio, or text as somebody's handset
    #[command(
        after_help = "Examples:\n  casewire simulator --listen 127.0.0.1:4010\n  casewire simulator text --from +12065550100 \"my heater is broken\""
    )]
    Simulator(SimulatorArgs),
    /// Report every mistake in the configuration, and print what holds
    #[command(after_help = "Example:\n  casewire check-config --config casewire.toml --role ingest")]
    CheckConfig(CheckConfigArgs),
    /// Ask the ops port whether the process on this machine is ready (exit 0) or not (exit 1)
    #[command(after_help = "Example:\n  casewire healthcheck")]
    Healthcheck(HealthcheckArgs),
    /// Add, list and remove lines
    #[command(after_help = "Example:\n  casewire line list")]
    Line {
        #[command(subcommand)]
        command: LineCommand,
    },
    /// Add and list accounts, and rotate their tokens
    #[command(after_help = "Example:\n  casewire account list")]
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Look at cases
    #[command(after_help = "Examples:\n  casewire case list --status open\n  casewire case show 00001001")]
    Case {
        #[command(subcommand)]
        command: CaseCommand,
    },
    /// Make tokens for the REST API
    #[command(after_help = "Example:\n  casewire token create --name reports")]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Look at events that could not be handled, and have them handled again
    #[command(after_help = "Example:\n  casewire dead-letter list")]
    DeadLetter {
        #[command(subcommand)]
        command: DeadLetterCommand,
    },
    /// Compare Twilio's lists with what is stored, and bring in what is missing
    #[command(after_help = RECONCILE_HELP)]
    Reconcile(ReconcileArgs),
    /// List what every role measures, with types and labels
    #[command(
        after_help = "Examples:\n  casewire metrics\n  casewire metrics --json\n  casewire metrics --markdown > docs/metrics.md"
    )]
    Metrics(MetricsArgs),
    /// Check everything this installation stands on, Twilio's settings for its numbers included, and say what is wrong
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Copy the folder of `casewire up`, while it runs
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArgs),
    /// Bring a backup back, so that nothing is sent twice
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArgs),
    /// Check a webhook's signature, and say why it does not match
    #[command(after_help = SIGNATURE_HELP)]
    Signature(SignatureArgs),
}

/// Output for machines.
#[derive(Args)]
pub struct AsJson {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
