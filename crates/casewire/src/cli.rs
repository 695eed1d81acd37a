//! What can be typed.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;

use casewire_domain::directory::Method;
use casewire_domain::line::WhenUncertain;
use casewire_domain::settle::Verdict;
use casewire_domain::{CaseNumber, DedupeId, MessageId, Region};
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

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

const RECONCILE_HELP: &str = "\
A worker does it, which must be running; the command waits and shows how far it is. Customers' texts that Twilio has
and casewire has not are brought into their cases, and answered as if they had just come; delivery statuses that are
behind are corrected. Workers do so by themselves every hour.
Exit status: 0 nothing was missing, 3 gaps were found and closed, 1 not everything could be compared or brought in.

Examples:
  casewire reconcile
  casewire reconcile --since 7d --json
  casewire reconcile --since 2026-11-19
  casewire reconcile --last";

const DOCTOR_HELP: &str = "\
It reads and changes nothing, unless --fix is given: that sets the webhook URL and method of numbers at Twilio where they
are not what casewire expects, and says what they were. Run it where a worker could run, with the same settings.
Exit status: 0 nothing is wrong (there may be warnings), 1 something is.

Examples:
  casewire doctor
  casewire doctor --fix
  casewire doctor --json";

const BACKUP_HELP: &str = "\
Each backup is a folder casewire-<time> of its own, which has this name only once it is whole, checked and on the disk.
The master key is not in it: keep a copy of it elsewhere. PostgreSQL is backed up with pg_dump: see docs/backup.md.

Examples:
  casewire backup --to /var/backups/casewire
  casewire backup --to /var/backups/casewire --keep 14";

const RESTORE_HELP: &str = "\
Texts that were on their way when the backup was taken are not sent again by themselves: each is looked for on Twilio's
list, and what is not found there waits for a person. What customers wrote since is brought back from that list.

Examples:
  casewire restore --from /var/backups/casewire --master-key-file master.key
  casewire restore --from /var/backups/casewire/casewire-20261120T020000Z --data-dir /srv/casewire
  casewire restore --in-place --taken-at 2026-11-20T02:00:00Z   after pg_restore, before any worker runs";

const SIGNATURE_HELP: &str = "\
The body is read from standard input, as it is.
Exit status: 0 valid, 1 not valid (with the reasons that can be told), 2 wrong usage.

Example:
  casewire signature --url https://sms.example.org/inbound/main \\
    --auth-token \"$TOKEN\" --signature \"$X_TWILIO_SIGNATURE\" < body.txt";

/// How to list metrics.
#[derive(Args)]
pub struct MetricsArgs {
    /// As the page docs/metrics.md
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// As one JSON document
    #[arg(long)]
    pub json: bool,
}

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

#[derive(Subcommand)]
pub enum LineCommand {
    /// Add a line, and its account where that is new
    #[command(
        after_help = "Example:\n  casewire line add --id main --number +15550100 --account-sid AC… --auth-token-file token.txt"
    )]
    Add(Box<LineAdd>),
    /// List lines
    #[command(after_help = "Example:\n  casewire line list")]
    List(AsJson),
    /// Remove a line; its cases stay
    #[command(after_help = "Example:\n  casewire line remove main")]
    Remove {
        /// The line's id
        id: String,
    },
}

#[derive(Args)]
pub struct LineAdd {
    /// The part of its webhook URL that names it [default: random, which nobody guesses]
    #[arg(long)]
    pub id: Option<String>,
    /// The number customers text, or a Messaging Service (MG…)
    #[arg(long)]
    pub number: String,
    /// The Twilio account that owns it
    #[arg(long, value_name = "AC…")]
    pub account_sid: String,
    /// File with the account's auth token, `-` for standard input; needed where the account is new
    #[arg(long, value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,
    /// Region by which numbers without a country code are read
    #[arg(long, default_value = "US", value_name = "CC")]
    pub region: Region,
    /// Methods its webhook takes
    #[arg(long, default_value = "post", value_parser = method, value_name = "post|get|any")]
    pub method: Method,
    /// Automatic reply when a text opens a case; empty for none
    #[arg(long, value_name = "TEMPLATE", default_value = casewire_domain::line::DEFAULT_ON_OPEN)]
    pub on_open: String,
    /// Automatic reply when a text reopens a case; empty for none
    #[arg(long, value_name = "TEMPLATE", default_value = casewire_domain::line::DEFAULT_ON_REOPEN)]
    pub on_reopen: String,
    /// Automatic reply when a text joins an open case; empty for none
    #[arg(long, value_name = "TEMPLATE", default_value = "")]
    pub on_update: String,
    /// Texts a second it may send [default: sender.rate_per_line]
    #[arg(long, value_name = "N")]
    pub rate: Option<u32>,
    /// What becomes of a text of which Twilio does not tell whether it was sent: a person decides, or it is sent again
    /// once where Twilio does not list it (which can text somebody twice)
    #[arg(long, default_value = "hold", value_parser = when_uncertain, value_name = "hold|resend")]
    pub when_uncertain: WhenUncertain,
}

fn when_uncertain(name: &str) -> Result<WhenUncertain, String> {
    WhenUncertain::parse(name).ok_or_else(|| "one of hold, resend".to_owned())
}

fn method(name: &str) -> Result<Method, String> {
    Method::parse(name).ok_or_else(|| "one of post, get, any".to_owned())
}

/// Output for machines.
#[derive(Args)]
pub struct AsJson {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum AccountCommand {
    /// Add an account
    #[command(after_help = "Example:\n  casewire account add --account-sid AC… --auth-token-file token.txt")]
    Add(AccountAdd),
    /// List accounts
    #[command(after_help = "Example:\n  casewire account list")]
    List(AsJson),
    /// Give an account its new token; the old one stays valid until --drop-old
    ///
    /// Ingest counts which of them signs: drop the old one once its metric
    /// casewire_webhook_signature_keys_total{key="older_token"} grows no more.
    #[command(
        after_help = "Example:\n  casewire account rotate-token AC… --auth-token-file new.txt\n  casewire account rotate-token AC… --drop-old"
    )]
    RotateToken(RotateToken),
}

#[derive(Args)]
pub struct AccountAdd {
    /// The account's id at Twilio
    #[arg(long, value_name = "AC…")]
    pub account_sid: String,
    /// File with its auth token, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub auth_token_file: PathBuf,
    /// Id of a shared key that signs its webhooks (Twilio's SharedKey signing)
    #[arg(long, value_name = "ID", requires = "shared_key_file")]
    pub shared_key_id: Option<String>,
    /// File with that key's secret; it signs with HMAC-SHA256
    #[arg(long, value_name = "FILE", requires = "shared_key_id")]
    pub shared_key_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct RotateToken {
    /// The account's id at Twilio
    pub account_sid: String,
    /// File with the new token, `-` for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "drop_old")]
    pub auth_token_file: Option<PathBuf>,
    /// Forget every token but the newest
    #[arg(long)]
    pub drop_old: bool,
}

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
    pub status: Option<casewire_domain::case::CaseStatus>,
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

fn status(name: &str) -> Result<casewire_domain::case::CaseStatus, String> {
    casewire_domain::case::CaseStatus::parse(name).ok_or_else(|| "one of open, pending, closed".to_owned())
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print it alone on its line; it is never shown again
    #[command(after_help = "Example:\n  TOKEN=$(casewire token create --name reports)")]
    Create {
        /// What it is for; replies made with it bear this name
        #[arg(long)]
        name: String,
    },
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

#[derive(Args)]
pub struct SignatureArgs {
    /// The URL as Twilio was told it
    #[arg(long)]
    pub url: String,
    /// An auth token, or a shared key's secret with --signature-settings; may be repeated
    #[arg(long, required = true)]
    pub auth_token: Vec<String>,
    /// The request's X-Twilio-Signature
    #[arg(long, required_unless_present = "sign")]
    pub signature: Option<String>,
    /// Print the signature instead of checking one
    #[arg(long, conflicts_with = "signature")]
    pub sign: bool,
    /// The request's method
    #[arg(long, default_value = "POST")]
    pub method: String,
    /// The request's Content-Type
    #[arg(long, default_value = "application/x-www-form-urlencoded")]
    pub content_type: String,
    /// The request's X-Twilio-Webhooks-Signature-Settings
    #[arg(long, value_name = "HEADER")]
    pub signature_settings: Option<String>,
}

#[derive(Args)]
pub struct ReconcileArgs {
    /// From when on: 90m, 24h, 7d, a day (2026-11-19) or a time (2026-11-19T08:00:00Z)
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = crate::commands::reconcile::since)]
    pub since: DateTime<Utc>,
    /// Show the newest report and compare nothing
    #[arg(long, conflicts_with = "since")]
    pub last: bool,
    #[command(flatten)]
    pub output: AsJson,
}

#[derive(Args)]
pub struct DoctorArgs {
    /// Set the webhook URL and method at Twilio where they are wrong
    #[arg(long)]
    pub fix: bool,
    #[command(flatten)]
    pub output: AsJson,
}

#[derive(Args)]
pub struct BackupArgs {
    /// Folder to put it in; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Afterwards remove all but the newest N in that folder [default: keep all]
    #[arg(long, value_name = "N")]
    pub keep: Option<NonZero<usize>>,
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("which").args(["from", "in_place"]).required(true)))]
pub struct RestoreArgs {
    /// A backup, or a folder of backups, of which the newest is taken
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Where the folder holds an installation already, move its files aside
    #[arg(long, requires = "from")]
    pub force: bool,
    /// File with the master key, to be put into the folder; `-` for standard input
    #[arg(long, value_name = "FILE", requires = "from")]
    pub master_key_file: Option<PathBuf>,
    /// The database is back already, by its own tools: only mark what is in it
    #[arg(long, requires = "taken_at")]
    pub in_place: bool,
    /// When the backup was begun that was brought back: as `casewire reconcile --since` takes it
    #[arg(long, value_name = "TIME", requires = "in_place", value_parser = crate::commands::reconcile::since)]
    pub taken_at: Option<DateTime<Utc>>,
}
