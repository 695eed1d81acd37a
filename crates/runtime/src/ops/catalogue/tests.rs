use std::collections::BTreeSet;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::*;
use crate::ops::Metrics;

fn all() -> impl Iterator<Item = &'static Metric> {
    SECTIONS.iter().flat_map(|section| section.metrics.iter().copied())
}

#[test]
fn names_are_unique_and_say_what_is_counted_and_in_which_unit() {
    let mut seen = BTreeSet::new();
    for metric in all() {
        let name = metric.name();
        assert!(seen.insert(name), "{name} is listed twice");
        // The others are OpenTelemetry's and Prometheus' own.
        let others = ["http_server_", "db_client_", "process_"];
        assert!(
            name.starts_with("casewire_") || others.iter().any(|prefix| name.starts_with(prefix)),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), metric.kind() == Kind::Counter, "{name}");
        if matches!(metric.kind(), Kind::Histogram | Kind::TracedHistogram) {
            assert_eq!(metric.unit(), Some("seconds"), "{name}");
        }
        let help = metric.help();
        assert!(!help.is_empty() && !help.ends_with('.') && !help.contains('|'), "{name}: {help}");
    }
}

#[test]
fn every_list_is_shown_once() {
    for section in SECTIONS {
        assert!(!section.metrics.is_empty(), "{}", section.title);
    }
    let page = markdown();
    for metric in all() {
        assert_eq!(page.matches(&format!("| `{}` |", metric.name())).count(), 1, "{}", metric.name());
    }
    assert_eq!(json().as_array().map(Vec::len), Some(all().count()));
}

#[test]
fn a_metric_is_shown_under_its_listed_name_with_its_help_and_unit() {
    let metrics = Metrics::default();
    let seen = Gauge::<i64>::default();
    metrics.register(&SPILL_BYTES, seen.clone());
    metrics.register(&PROVIDER_THROTTLED, Counter::<u64>::default());
    metrics.before_showing(move || {
        seen.set(7);
    });
    let text = metrics.encode().unwrap();
    for line in [
        "# HELP casewire_spill_bytes Bytes of the events in the spill.",
        "# UNIT casewire_spill_bytes bytes",
        "casewire_spill_bytes 7",
        "# TYPE casewire_provider_throttled counter",
        "casewire_provider_throttled_total 0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
    }
}
