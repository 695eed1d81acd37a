//! What is looked at and compared: metrics, signatures, Twilio's lists, everything.

use chrono::{DateTime, Utc};
use clap::Args;

use super::AsJson;

pub(super) const RECONCILE_HELP: &str = "\
A worker does it, which must be running; the command waits and shows how far it is. Customers' texts that Twilio has
and casewire has not are brought into their cases, and answered as if they had just come; delivery statuses that are
behind are corrected. Workers do so by themselves every hour.
Exit status: 0 nothing was missing, 3 gaps were found and closed, 1 not everything could be compared or brought in.

Examples:
  casewire reconcile
  casewire reconcile --since 7d --json
  casewire reconcile --since 2026-11-19
  casewire reconcile --last";

pub(super) const DOCTOR_HELP: &str = "\
It reads and changes nothing, unless --fix is given: that sets the webhook URL and method of numbers at Twilio where they
are not what casewire expects, and says what they were. Run it where a worker could run, with the same settings.
Exit status: 0 nothing is wrong (there may be warnings), 1 something is.

Examples:
  casewire doctor
  casewire doctor --fix
  casewire doctor --json";

pub(super) const SIGNATURE_HELP: &str = "\
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
