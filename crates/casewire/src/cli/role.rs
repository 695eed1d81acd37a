//! Roles, and what asks or plays beside them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Where to listen; over the configuration.
#[derive(Args, Clone, Debug)]
pub struct Listen {
    /// Address of webhooks, page and API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address of health and metrics [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    pub ops_listen: Option<SocketAddr>,
}

#[derive(Args)]
pub struct IngestArgs {
    #[command(flatten)]
    pub listen: Listen,
    /// Folder on a durable disk, of this ingest alone, for texts that the stream does not take [default: none, and
    /// while the stream is away the answer is 503]
    #[arg(long, value_name = "DIR")]
    pub spill_dir: Option<PathBuf>,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SimulatorArgs {
    #[command(flatten)]
    pub listen: Listen,
    #[command(subcommand)]
    pub command: Option<SimulatorCommand>,
}

#[derive(Subcommand)]
pub enum SimulatorCommand {
    /// Text a line from a handset: a signed webhook, as Twilio sends it
    #[command(after_help = "Example:\n  casewire simulator text --from +12065550100 \"my heater is broken\"")]
    Text(TextArgs),
}

#[derive(Args)]
pub struct TextArgs {
    /// The handset's number
    #[arg(long, value_name = "NUMBER", default_value = "+12065550100")]
    pub from: String,
    /// The line to text, by its id [default: the only one, or the demo's]
    #[arg(long, value_name = "ID")]
    pub line: Option<String>,
    /// Where the simulator is [default: the running `up`, or twilio.api_base_url]
    #[arg(long, value_name = "URL")]
    pub simulator: Option<String>,
    /// What to write
    pub body: String,
}

#[derive(Args)]
pub struct CheckConfigArgs {
    /// Also check that everything is set that this role needs
    #[arg(long)]
    pub role: Option<RoleName>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum RoleName {
    Up,
    Ingest,
    Worker,
    Desk,
    Migrate,
}

#[derive(Args)]
pub struct HealthcheckArgs {
    /// Ask whether the process is alive, rather than ready
    #[arg(long)]
    pub live: bool,
}
