//! Texts sent, and what the provider said.

use std::time::Duration;

use casewire_twilio::rest::{ReadError, SendOutcome, Trouble};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::error_code;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    outcome: &'static str,
    error_code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    operation: &'static str,
    status_class: &'static str,
}

const OUTCOMES: [&str; 8] = [
    "accepted",
    "rejected",
    "throttled",
    "unreachable",
    "account_refused",
    "timeout",
    "uncertain",
    "blocked_opt_out",
];

/// Metrics of texts sent.
pub(crate) struct Sends {
    attempts: Family<Attempt, Counter>,
    took: Family<Request, Histogram>,
    throttled: Counter,
    circuits_open: Gauge,
    duplicates: Counter,
}

impl Sends {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let buckets = || Histogram::new([0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0]);
        let new = Self {
            attempts: Family::default(),
            took: Family::new_with_constructor(buckets),
            throttled: Counter::default(),
            circuits_open: Gauge::default(),
            duplicates: Counter::default(),
        };
        // Known label sets begin at 0: a first failure would otherwise have no rate.
        for outcome in OUTCOMES {
            new.attempts.get_or_create(&Attempt { outcome, error_code: String::new() }).inc_by(0);
        }
        new.name(registry);
        new
    }

    fn name(&self, registry: &mut Registry) {
        let help = "Attempts to send a text, by outcome";
        registry.register("sms_send_attempts", help, self.attempts.clone());
        let help = "Time of a request to the provider";
        registry.register_with_unit("provider_request_duration", help, Unit::Seconds, self.took.clone());
        let help = "Requests the provider refused for their number";
        registry.register("provider_throttled", help, self.throttled.clone());
        let help = "Accounts for which nothing is sent, since the provider refuses them";
        registry.register("provider_circuit_open", help, self.circuits_open.clone());
        let help = "Messages the provider holds twice";
        registry.register("duplicate_send_detected", help, self.duplicates.clone());
    }

    /// The provider was asked to send a text, and this came of it.
    pub(crate) fn attempt(&self, outcome: &SendOutcome, took: Duration) {
        let (name, status_class) = classes(outcome);
        let code = match outcome {
            SendOutcome::Rejected { code, .. } | SendOutcome::AccountRefused { code, .. } => *code,
            _ => None,
        };
        self.attempts.get_or_create(&Attempt { outcome: name, error_code: error_code(code) }).inc();
        self.took.get_or_create(&Request { operation: "send", status_class }).observe(took.as_secs_f64());
        if name == "throttled" {
            self.throttled.inc();
        }
    }

    /// A text was not sent, since its contact has opted out.
    pub(crate) fn suppressed(&self) {
        let labels = Attempt { outcome: "blocked_opt_out", error_code: String::new() };
        self.attempts.get_or_create(&labels).inc();
    }

    /// For so many accounts nothing is sent now.
    pub(crate) fn circuits_open(&self, accounts: usize) {
        self.circuits_open.set(i64::try_from(accounts).unwrap_or(i64::MAX));
    }

    /// A message turned out to be with the provider twice.
    pub(crate) fn duplicate(&self) {
        self.duplicates.inc();
    }

    /// The provider was asked for a page of its list; the error, where it gave none.
    pub(crate) fn listed(&self, error: Option<&ReadError>, took: Duration) {
        let status_class = match error {
            None => "2xx",
            Some(ReadError::AccountRefused { .. } | ReadError::Refused { .. }) => "4xx",
            Some(ReadError::Unavailable { reason, .. }) => match reason {
                Trouble::Throttled => "4xx",
                Trouble::ServerError(_) => "5xx",
                Trouble::UnreadableAnswer => "2xx",
                _ => "none",
            },
        };
        self.took.get_or_create(&Request { operation: "list", status_class }).observe(took.as_secs_f64());
        if matches!(error, Some(ReadError::Unavailable { reason: Trouble::Throttled, .. })) {
            self.throttled.inc();
        }
    }
}

/// The outcome's name, and the class of the answer's status.
fn classes(outcome: &SendOutcome) -> (&'static str, &'static str) {
    match outcome {
        SendOutcome::Accepted { .. } => ("accepted", "2xx"),
        SendOutcome::Rejected { .. } => ("rejected", "4xx"),
        SendOutcome::AccountRefused { .. } => ("account_refused", "4xx"),
        SendOutcome::NotProcessed { reason: Trouble::Throttled, .. } => ("throttled", "4xx"),
        SendOutcome::NotProcessed { .. } => ("unreachable", "none"),
        SendOutcome::Uncertain { reason } => match reason {
            Trouble::TimedOut => ("timeout", "none"),
            Trouble::ServerError(_) => ("uncertain", "5xx"),
            Trouble::UnreadableAnswer => ("uncertain", "2xx"),
            _ => ("uncertain", "none"),
        },
    }
}
