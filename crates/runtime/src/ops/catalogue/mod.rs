//! Every metric there is: its name as it is scraped, its type, what it says, and its labels with their values. A metric
//! is registered through its entry here, so that none is shown that is not listed; `docs/metrics.md`, dashboards and
//! alerts are checked against the list.

mod desk;
mod ingest;
mod labels;
mod process;
mod render;
mod shared;
mod worker;

pub use desk::*;
pub use ingest::*;
pub use process::*;
pub use render::{json, markdown};
pub use shared::*;
pub use worker::*;

/// One metric.
#[derive(Debug)]
pub struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [Label],
}

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often which size was seen.
    Histogram,
    /// A histogram whose buckets lead to a trace, where one was sent.
    TracedHistogram,
}

/// A label of a metric.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub values: Values,
}

/// What a label may be. Never a number, a text, an id or a path as it came.
#[derive(Debug)]
pub enum Values {
    /// These, and each is shown from the beginning: a first failure would otherwise have no rate.
    All(&'static [&'static str]),
    /// As few as is told: bounded by the configuration or the program.
    Bounded(&'static str),
}

impl Metric {
    /// The name as it is scraped, of a histogram without `_bucket`, `_sum` and `_count`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What kind of number it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it says, in a sentence.
    pub fn help(&self) -> &'static str {
        self.help
    }

    /// Its labels, in the order they are shown in.
    pub fn labels(&self) -> &'static [Label] {
        self.labels
    }

    /// Its unit, as its name tells it; none for what is counted.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")))
    }
}

impl Kind {
    /// The type as OpenMetrics names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram | Self::TracedHistogram => "histogram",
        }
    }
}

/// Metrics that the same processes have.
#[derive(Debug)]
pub struct Section {
    /// What they are about.
    pub title: &'static str,
    /// The roles that have them, `up` apart, which has all; none where `up` alone has them.
    pub roles: &'static [&'static str],
    /// The metrics.
    pub metrics: &'static [&'static Metric],
}

/// All there are.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "Every process",
        roles: &["ingest", "worker", "desk", "simulator"],
        metrics: process::ALL,
    },
    Section { title: "Critical tasks", roles: &["worker"], metrics: shared::TASKS },
    Section { title: "The stream's connection", roles: &["ingest", "worker"], metrics: shared::BUS },
    Section { title: "The database", roles: &["worker", "desk"], metrics: shared::DATABASE },
    Section { title: "Ingest: webhooks", roles: &["ingest"], metrics: ingest::WEBHOOKS },
    Section { title: "Ingest: the spill", roles: &["ingest"], metrics: ingest::SPILL },
    Section { title: "Worker: the stream", roles: &["worker"], metrics: worker::STREAM },
    Section { title: "Worker: cases", roles: &["worker"], metrics: worker::CASES },
    Section { title: "Worker: texts sent", roles: &["worker"], metrics: worker::OUTBOUND },
    Section { title: "Worker: sweepers", roles: &["worker"], metrics: worker::SWEEPERS },
    Section { title: "Desk", roles: &["desk"], metrics: desk::ALL },
    Section { title: "One process: its folder", roles: &[], metrics: process::FOLDER },
];

/// The entries of this module's sections: `NAME = kind "name", "help", [LABELS];`, each a constant, and the list of them.
macro_rules! metrics {
    ($list:ident: $($name:ident = $kind:ident $text:literal, $help:literal $(, [$($label:ident),+])?;)+) => {
        $(
            #[doc = $help]
            pub static $name: $crate::ops::catalogue::Metric = $crate::ops::catalogue::Metric {
                name: $text,
                kind: $crate::ops::catalogue::Kind::$kind,
                help: $help,
                labels: &[$($($crate::ops::catalogue::labels::$label),+)?],
            };
        )+
        pub(super) const $list: &[&$crate::ops::catalogue::Metric] = &[$(&$name),+];
    };
}
use metrics;

#[cfg(test)]
mod tests;
