//! `casewire metrics`: what every role measures.

use casewire_runtime::ops::catalogue::{self, SECTIONS};

use crate::cli::MetricsArgs;
use crate::printing::say;
use crate::table;

pub fn run(args: &MetricsArgs) -> anyhow::Result<()> {
    if args.markdown {
        return say!("{}", catalogue::markdown().trim_end());
    }
    if args.json {
        return say!("{}", serde_json::to_string_pretty(&catalogue::json())?);
    }
    let rows = SECTIONS.iter().flat_map(|section| {
        section.metrics.iter().map(|metric| {
            let labels: Vec<_> = metric.labels().iter().map(|label| label.name).collect();
            [
                metric.name().to_owned(),
                metric.kind().as_str().to_owned(),
                section.roles.join(" "),
                labels.join(" "),
            ]
        })
    });
    table::print(["METRIC", "TYPE", "ROLES", "LABELS"], rows, "there are none")
}
