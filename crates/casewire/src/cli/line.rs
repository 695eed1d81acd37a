//! Lines, their accounts, and tokens for the API.

use std::path::PathBuf;

use casewire_domain::Region;
use casewire_domain::directory::Method;
use casewire_domain::line::WhenUncertain;
use clap::{Args, Subcommand};

use super::AsJson;

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
pub enum TokenCommand {
    /// Make a token, and print it alone on its line; it is never shown again
    #[command(after_help = "Example:\n  TOKEN=$(casewire token create --name reports)")]
    Create {
        /// What it is for; replies made with it bear this name
        #[arg(long)]
        name: String,
    },
}
