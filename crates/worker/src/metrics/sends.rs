//! Texts sent, and what the provider said.

use std::time::Duration;

use casewire_runtime::ops::{self, Exemplar, Traced, catalogue};
use casewire_twilio::rest::{ReadError, SendOutcome, Trouble};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tracing::Span;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Origin {
    origin: &'static str,
}

const OPERATIONS: [&str; 2] = ["send", "list"];
const STATUS_CLASSES: [&str; 4] = ["2xx", "4xx", "5xx", "none"];
const AGENT: Origin = Origin { origin: "agent" };
const AUTOMATIC: Origin = Origin { origin: "automatic" };
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

/// From what the provider takes on a good day to the time-out.
const REQUEST: [f64; 11] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0];
/// A text goes at once, or waits for its line's rate and for attempts that failed.
const TO_PROVIDER: [f64; 10] = [0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];

/// Metrics of texts sent.
pub(crate) struct Sends {
    attempts: Family<Attempt, Counter>,
    took: Family<Request, Traced, fn() -> Traced>,
    accepted: Family<Origin, Histogram, fn() -> Histogram>,
    throttled: Counter,
    circuits_open: Gauge,
    duplicates: Counter,
}

impl Sends {
    pub(super) fn register(metrics: &ops::Metrics) -> Self {
        let new = Self {
            attempts: Family::default(),
            took: Family::new_with_constructor(|| Traced::new(REQUEST.into_iter())),
            accepted: Family::new_with_constructor(|| Histogram::new(TO_PROVIDER)),
            throttled: Counter::default(),
            circuits_open: Gauge::default(),
            duplicates: Counter::default(),
        };
        // Known label sets begin at 0: a first failure would otherwise have no rate.
        for outcome in OUTCOMES {
            new.attempts.get_or_create(&Attempt { outcome, error_code: String::new() }).inc_by(0);
        }
        for (operation, status_class) in
            OPERATIONS.into_iter().flat_map(|of| STATUS_CLASSES.map(move |class| (of, class)))
        {
            drop(new.took.get_or_create(&Request { operation, status_class }));
        }
        for origin in [AGENT, AUTOMATIC] {
            drop(new.accepted.get_or_create(&origin));
        }
        new.name(metrics);
        new
    }

    fn name(&self, metrics: &ops::Metrics) {
        metrics.register(&catalogue::SMS_ATTEMPTS, self.attempts.clone());
        metrics.register(&catalogue::PROVIDER_DURATION, self.took.clone());
        metrics.register(&catalogue::SMS_ACCEPT_DURATION, self.accepted.clone());
        metrics.register(&catalogue::PROVIDER_THROTTLED, self.throttled.clone());
        metrics.register(&catalogue::PROVIDER_CIRCUIT_OPEN, self.circuits_open.clone());
        metrics.register(&catalogue::DUPLICATE_SENDS, self.duplicates.clone());
    }

    /// The provider was asked to send a text, and this came of it; `span` is that of the attempt.
    pub(crate) fn attempt(&self, outcome: &SendOutcome, took: Duration, span: &Span) {
        let (name, status_class) = classes(outcome);
        let code = match outcome {
            SendOutcome::Rejected { code, .. } | SendOutcome::AccountRefused { code, .. } => *code,
            _ => None,
        };
        self.attempts.get_or_create(&Attempt { outcome: name, error_code: error_code(code) }).inc();
        self.requested("send", status_class, took, span);
        if name == "throttled" {
            self.throttled.inc();
        }
    }

    fn requested(&self, operation: &'static str, status_class: &'static str, took: Duration, span: &Span) {
        let of = Request { operation, status_class };
        self.took.get_or_create(&of).observe(took.as_secs_f64(), Exemplar::of(span), None);
    }

    /// The provider has a text, so long after it was queued.
    pub(crate) fn accepted(&self, automatic: bool, after: Duration) {
        let origin = if automatic { AUTOMATIC } else { AGENT };
        self.accepted.get_or_create(&origin).observe(after.as_secs_f64());
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
        self.requested("list", status_class, took, &Span::current());
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
