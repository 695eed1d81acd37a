//! Uncertain texts, and how they were settled.

use casewire_domain::decide::{Outcome, Sighting};
use casewire_domain::settle::Answer;
use casewire_runtime::ops::{self, catalogue};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    answer: &'static str,
}

/// Metrics of uncertain texts. What a person decides is decided at the desk, and told by the trail.
pub(crate) struct Settling {
    settled: Family<By, Counter>,
    looks: Family<Answered, Counter>,
    unsettled: Counter,
}

impl Settling {
    pub(super) fn register(metrics: &ops::Metrics) -> Self {
        let new =
            Self { settled: Family::default(), looks: Family::default(), unsettled: Counter::default() };
        // Known label sets begin at 0: a first one would otherwise have no rate.
        for by in ["callback", "list", "resend"] {
            new.settled.get_or_create(&By { by }).inc_by(0);
        }
        for answer in ["read", "unreadable"] {
            new.looks.get_or_create(&Answered { answer }).inc_by(0);
        }
        metrics.register(&catalogue::UNCERTAIN_SETTLED, new.settled.clone());
        metrics.register(&catalogue::UNCERTAIN_LOOKS, new.looks.clone());
        metrics.register(&catalogue::UNCERTAIN_UNSETTLED, new.unsettled.clone());
        new
    }

    /// The list was read for a text, or could not be.
    pub(crate) fn look(&self, answer: &Answer) {
        let answer = if matches!(answer, Answer::Listed { .. }) { "read" } else { "unreadable" };
        self.looks.get_or_create(&Answered { answer }).inc();
    }

    /// What became of a command, where it settled a text.
    pub(super) fn outcome(&self, outcome: &Outcome) {
        let by = match outcome {
            Outcome::Reported { settled: true, .. } => "callback",
            Outcome::Looked(Sighting::Found { .. }) => "list",
            Outcome::Looked(Sighting::SentAgain) => "resend",
            Outcome::Looked(Sighting::Held) => {
                self.unsettled.inc();
                return;
            }
            _ => return,
        };
        self.settled.get_or_create(&By { by }).inc();
    }
}
