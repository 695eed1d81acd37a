//! Metrics as they are scraped, held against the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use casewire_runtime::ops::catalogue::{Kind, Metric, SECTIONS, Values};

/// One metric as it is shown.
#[derive(Debug, Default)]
struct Shown {
    kind: String,
    help: String,
    unit: String,
    /// The labels of each sample, `le` apart.
    labels: Vec<BTreeMap<String, String>>,
}

/// What does not fit of what a role shows; `up` shows what all do.
pub(super) fn problems(role: &str, text: &str) -> Vec<String> {
    let sections = SECTIONS.iter().filter(|section| role == "up" || section.roles.contains(&role));
    let listed: Vec<&Metric> = sections.flat_map(|section| section.metrics.iter().copied()).collect();
    let shown = read(text);
    let names: BTreeSet<&str> = listed.iter().map(|metric| metric.name()).collect();
    let unlisted = shown.keys().filter(|name| !names.contains(name.as_str()));
    let mut problems: Vec<_> = unlisted.map(|name| format!("{name} is not listed for {role}")).collect();
    for metric in listed {
        match shown.get(metric.name()) {
            None => problems.push(format!("{role} does not show {}", metric.name())),
            Some(shown) => problems.extend(differences(metric, shown)),
        }
    }
    problems
}

fn differences(metric: &Metric, shown: &Shown) -> Vec<String> {
    let name = metric.name();
    let mut problems = Vec::new();
    let mut differs = |what: &str, listed: &str, shown: &str| {
        if listed != shown {
            problems.push(format!("the {what} of {name} is {shown:?} and not {listed:?}"));
        }
    };
    differs("type", metric.kind().as_str(), &shown.kind);
    differs("help", &format!("{}.", metric.help()), &shown.help);
    differs("unit", metric.unit().unwrap_or_default(), &shown.unit);
    let expected: BTreeSet<&str> = metric.labels().iter().map(|label| label.name).collect();
    for labels in &shown.labels {
        if labels.keys().map(String::as_str).collect::<BTreeSet<_>>() != expected {
            problems.push(format!("{name} has the labels {labels:?} and not {expected:?}"));
        }
    }
    for label in metric.labels() {
        let Values::All(all) = label.values else { continue };
        let seen: BTreeSet<&str> =
            shown.labels.iter().filter_map(|it| Some(it.get(label.name)?.as_str())).collect();
        let all: BTreeSet<&str> = all.iter().copied().collect();
        if seen != all {
            problems.push(format!("label {} of {name} is {seen:?} and not {all:?}", label.name));
        }
    }
    problems
}

/// Metrics by their name in the catalogue.
fn read(text: &str) -> BTreeMap<String, Shown> {
    let mut all = BTreeMap::<String, Shown>::new();
    let mut current = String::new();
    for line in text.lines() {
        match line.strip_prefix("# ").map(|said| said.splitn(3, ' ').collect::<Vec<_>>()).as_deref() {
            Some(["EOF"]) => {}
            Some(["HELP", family, help]) => {
                current = named(text, family);
                all.entry(current.clone()).or_default().help = (*help).to_owned();
            }
            Some(["TYPE", _, kind]) => all.get_mut(&current).unwrap().kind = (*kind).to_owned(),
            Some(["UNIT", _, unit]) => all.get_mut(&current).unwrap().unit = (*unit).to_owned(),
            Some(other) => unreachable!("{other:?}"),
            None => all.get_mut(&current).unwrap().labels.push(labels(line)),
        }
    }
    all
}

/// OpenMetrics names a counter without the ending that its samples have.
fn named(text: &str, family: &str) -> String {
    let counter = text.contains(&format!("# TYPE {family} {}\n", Kind::Counter.as_str()));
    if counter { format!("{family}_total") } else { family.to_owned() }
}

/// The labels of a sample. None of our values holds a quote.
fn labels(sample: &str) -> BTreeMap<String, String> {
    let sample = sample.split(" # ").next().unwrap();
    let Some((_, rest)) = sample.split_once('{') else { return BTreeMap::new() };
    let inside = rest.rsplit_once('}').unwrap().0;
    let pairs = inside.split("\",").filter_map(|pair| pair.split_once("=\""));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()));
    pairs.filter(|(name, _)| name != "le").collect()
}
