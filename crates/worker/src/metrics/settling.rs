//! Uncertain texts, and how they were settled.

use casewire_domain::decide::{Outcome, Sighting};
use casewire_domain::settle::Answer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

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
    pub(super) fn register(registry: &mut Registry) -> Self {
        let new =
            Self { settled: Family::default(), looks: Family::default(), unsettled: Counter::default() };
        // Known label sets begin at 0: a first one would otherwise have no rate.
        for by in ["callback", "list", "resend"] {
            new.settled.get_or_create(&By { by }).inc_by(0);
        }
        for answer in ["read", "unreadable"] {
            new.looks.get_or_create(&Answered { answer }).inc_by(0);
        }
        let help =
            "Uncertain texts of which is known now whether the provider has them, by how it was learnt";
        registry.register("uncertain_settled", help, new.settled.clone());
        let help = "Looks at the provider's list for uncertain texts";
        registry.register("uncertain_looks", help, new.looks.clone());
        let help = "Uncertain texts that the provider's list did not settle: a person must decide";
        registry.register("uncertain_unsettled", help, new.unsettled.clone());
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
