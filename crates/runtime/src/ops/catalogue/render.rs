//! The list for people, and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Kind, Label, Metric, SECTIONS, Values};

const HEAD: &str = "\
# Metrics

Printed by `casewire metrics --markdown`: change the catalogue in `crates/runtime/src/ops/catalogue`, not this page.

Every role serves its metrics as OpenMetrics at `/metrics` of its ops port; `casewire up` has all of them. Counters and
histograms begin at 0 with the process. What workers read of the stream and the database each of them shows: take the
greatest, never the sum. Buckets of the histograms marked *traced* name a trace where one was sent.
";

/// The page of metrics.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        let _ = write!(page, "\n## {}\n\nOf {}.\n\n", section.title, in_words(section.roles));
        page.push_str("| Metric | Type | Labels | What it says |\n|---|---|---|---|\n");
        for metric in section.metrics {
            let traced = if metric.kind == Kind::TracedHistogram { ", traced" } else { "" };
            let labels = metric.labels.iter().map(label).collect::<Vec<_>>().join("<br>");
            let (name, kind, help) = (metric.name, metric.kind.as_str(), metric.help);
            let _ = writeln!(page, "| `{name}` | {kind}{traced} | {labels} | {help} |");
        }
    }
    page
}

fn in_words(roles: &[&str]) -> String {
    let named: Vec<_> = roles.iter().map(|role| format!("`{role}`")).collect();
    match named.as_slice() {
        [alone] => alone.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => "`up` alone".to_owned(),
    }
}

fn label(Label { name, values }: &Label) -> String {
    match values {
        Values::All(all) => {
            let all: Vec<_> = all.iter().map(|value| format!("`{value}`")).collect();
            format!("`{name}`: {}", all.join(", "))
        }
        Values::Bounded(told) => format!("`{name}`: {told}"),
    }
}

/// The list as one JSON document.
pub fn json() -> Value {
    let of = |roles: &'static [&'static str]| {
        move |metric: &&Metric| {
            let labels = metric.labels.iter().map(|Label { name, values }| match values {
                Values::All(all) => json!({ "name": name, "values": all }),
                Values::Bounded(told) => json!({ "name": name, "bounded_by": told }),
            });
            json!({
                "name": metric.name,
                "type": metric.kind.as_str(),
                "unit": metric.unit(),
                "help": metric.help,
                "labels": labels.collect::<Vec<_>>(),
                "exemplars": metric.kind == Kind::TracedHistogram,
                "roles": roles,
            })
        }
    };
    SECTIONS.iter().flat_map(|section| section.metrics.iter().map(of(section.roles))).collect()
}
