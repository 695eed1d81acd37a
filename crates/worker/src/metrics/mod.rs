//! What a worker counts.

mod depth;
mod events;
mod sends;
mod settling;
mod sweeps;

use casewire_domain::decide::{Outcome, Sighting};
use casewire_runtime::ops;
use casewire_twilio::codes;

use depth::Depth;
use events::Events;
use sends::Sends;
use settling::Settling;
use sweeps::Sweeps;
pub(crate) use sweeps::{PROVIDER, STREAM};

/// The durable consumer every worker shares, as its label: what else reads a stream gets another.
pub(crate) const CONSUMER: &str = "work";

/// A worker's metrics.
pub(crate) struct Metrics {
    /// Of events.
    pub(crate) events: Events,
    /// Of texts sent.
    pub(crate) sends: Sends,
    /// Of sweeps.
    pub(crate) sweeps: Sweeps,
    /// Of uncertain texts.
    pub(crate) settling: Settling,
    /// Of what waits.
    pub(crate) depth: Depth,
}

impl Metrics {
    pub(crate) fn register(metrics: &ops::Metrics) -> Self {
        Self {
            events: Events::register(metrics),
            sends: Sends::register(metrics),
            settling: Settling::register(metrics),
            sweeps: Sweeps::register(metrics),
            depth: Depth::register(metrics),
        }
    }

    /// What became of commands, whoever handed them in: every double is counted, and every text settled.
    pub(crate) fn decided<'a>(&self, outcomes: impl IntoIterator<Item = &'a Outcome>) {
        for outcome in outcomes {
            self.settling.outcome(outcome);
            let doubled = match outcome {
                Outcome::Reported { duplicate_send, .. }
                | Outcome::Attempted { duplicate_send }
                | Outcome::Looked(Sighting::Found { duplicate_send }) => *duplicate_send,
                _ => false,
            };
            if doubled {
                self.sends.duplicate();
                tracing::error!(event = "duplicate_send", "the provider holds two texts for one message");
            }
        }
    }
}

/// What became of an event, by the name metrics and spans have for it.
pub(crate) fn disposition(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Duplicate => "duplicate",
        Outcome::SetAside(_) => "park",
        Outcome::Waiting => "waiting",
        _ => "done",
    }
}

/// A provider's error code as a label: only codes that are known here, so that there are few; none is empty.
fn error_code(code: Option<u32>) -> String {
    match code {
        None => String::new(),
        Some(code) if codes::meaning(code).is_some() => code.to_string(),
        Some(_) => "other".to_owned(),
    }
}
