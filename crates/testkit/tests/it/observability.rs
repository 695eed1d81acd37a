//! Dashboards, rules and runbooks ask only for what the program reports, and fit each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Metrics that are not ours: Prometheus' own, and those of what takes the traces.
const FOREIGN: &[&str] = &["up", "ALERTS", "scrape_samples_scraped"];
const FOREIGN_PREFIXES: &[&str] = &["otelcol_", "prometheus_"];

/// Labels that any metric may have: where it was scraped, and what rules add.
const ANYWHERE: &[&str] =
    &["job", "instance", "role", "le", "objective", "alertname", "severity", "alertstate"];

/// Labels, each with all of its values where the catalogue names them.
type Labels = BTreeMap<String, Option<Vec<String>>>;

/// A metric of the catalogue.
struct Metric {
    histogram: bool,
    labels: Labels,
}

/// A query, with where it stands.
struct Query {
    place: String,
    text: String,
}

#[test]
fn every_query_parses_and_names_only_metrics_and_labels_that_there_are() -> Result<()> {
    let known = Known { catalogue: catalogue()?, recorded: recorded()? };
    let queries = [panels()?, rules()?.into_iter().map(|rule| rule.query).collect(), runbook_queries()?];
    let queries: Vec<Query> = queries.into_iter().flatten().collect();
    ensure!(queries.len() > 150, "found only {} queries", queries.len());
    let wrong: Vec<String> = queries.iter().filter_map(|query| known.fault(query)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let never = "casewire_messages_processed_total{disposition=~\"done|retried\"}".to_owned();
    assert!(known.fault(&Query { place: String::new(), text: never }).is_some(), "a value that there is not");
    Ok(())
}

#[test]
fn every_metric_of_the_catalogue_is_on_a_dashboard() -> Result<()> {
    // What is told by no picture.
    let unseen = ["casewire_build_info"];
    let panels: String = panels()?.into_iter().map(|query| query.text + "\n").collect();
    let catalogue = catalogue()?;
    let missing: Vec<&String> = catalogue
        .keys()
        .filter(|name| !panels.contains(name.as_str()) && !unseen.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "on no dashboard: {missing:?}");
    Ok(())
}

#[test]
fn every_alert_has_a_runbook_a_test_and_all_that_whoever_is_called_needs() -> Result<()> {
    let alerts: Vec<Rule> = rules()?.into_iter().filter(|rule| rule.alert).collect();
    let named: BTreeSet<String> = alerts.iter().map(|rule| rule.name.clone()).collect();
    assert_eq!(
        runbooks()?.into_keys().collect::<BTreeSet<_>>(),
        named,
        "runbooks and alerts are not the same"
    );
    let tests = read_all("deploy/prometheus/tests", "yaml")?.into_values().collect::<String>();
    let uids: BTreeSet<String> = dashboards()?.iter().map(|board| text(&board["uid"])).collect();
    for rule in &alerts {
        let name = &rule.name;
        assert!(tests.contains(&format!("alertname=\"{name}\"}}', value")), "no test in which {name} fires");
        assert_eq!(text(&rule.body["annotations"]["runbook_url"]), format!("docs/runbooks/{name}.md"));
        let board = text(&rule.body["annotations"]["dashboard_url"]);
        assert!(
            board.strip_prefix("/d/").is_some_and(|uid| uids.contains(uid)),
            "{name}: no dashboard {board}"
        );
        for annotation in ["summary", "description"] {
            assert!(!text(&rule.body["annotations"][annotation]).is_empty(), "{name} has no {annotation}");
        }
        assert!(rule.body["for"].is_string(), "{name} has no `for`");
        let severity = text(&rule.body["labels"]["severity"]);
        assert!(["page", "ticket", "none"].contains(&severity.as_str()), "{name}: {severity}");
    }
    Ok(())
}

#[test]
fn every_runbook_says_what_it_means_what_to_look_at_and_what_to_do() -> Result<()> {
    let headings = ["Meaning", "Impact", "First look", "Likely causes", "Actions", "Afterwards"];
    for (name, page) in runbooks()? {
        let found: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(found, headings, "{name}");
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        for (_, link) in page.match_indices("](").map(|(at, _)| page.split_at(at + 2)) {
            let link = link.split(')').next().unwrap_or_default();
            let there =
                link.starts_with("https://") || Path::new(ROOT).join("docs/runbooks").join(link).is_file();
            assert!(there, "{name} links to {link}, which is not there");
        }
    }
    Ok(())
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() -> Result<()> {
    let runbooks = runbooks()?;
    for board in dashboards()? {
        let uid = text(&board["uid"]);
        assert!(uid.starts_with("casewire-") && board["id"].is_null(), "{uid}: a fixed uid, no id");
        let mut seen = BTreeSet::new();
        for panel in shown(&board) {
            let place = format!("{uid}, {}", panel["title"]);
            assert!(seen.insert(panel["id"].as_u64()), "{place}: its id is another's too");
            assert!(!text(&panel["description"]).is_empty(), "{place}: no description");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{place}: no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}: a data source of its own");
            for named in text(&panel["description"]).split("docs/runbooks/").skip(1) {
                let named = named.split(".md").next().unwrap_or_default();
                assert!(runbooks.contains_key(named), "{place}: there is no runbook {named}");
            }
        }
    }
    Ok(())
}

struct Known {
    catalogue: BTreeMap<String, Metric>,
    /// What recording rules compute.
    recorded: BTreeSet<String>,
}

impl Known {
    /// What is wrong with a query, if anything is.
    fn fault(&self, query: &Query) -> Option<String> {
        let at = |what: String| Some(format!("{}: {what} in {}", query.place, query.text));
        let expr = match parser::parse(&plain(&query.text)) {
            Ok(expr) => expr,
            Err(error) => return at(error),
        };
        let mut asked = Asked::default();
        if walk_expr(&mut asked, &expr).is_err() {
            return at("it cannot be walked through".to_owned());
        }
        let mut labels: BTreeSet<String> = ANYWHERE.iter().map(|label| (*label).to_owned()).collect();
        for (name, matched) in &asked.selectors {
            let Some(own) = self.labels(name) else { return at(format!("no metric {name}")) };
            for Matcher { op, name: label, value } in matched {
                match own.get(label) {
                    None if !ANYWHERE.contains(&label.as_str()) => {
                        return at(format!("{name} has no label {label}"));
                    }
                    Some(Some(values)) if !is_among(op, value, values) => {
                        return at(format!("{label} of {name} is never {value}"));
                    }
                    _ => {}
                }
            }
            labels.extend(own.into_keys());
        }
        let unknown = asked.grouped.iter().find(|label| !labels.contains(*label));
        unknown.and_then(|label| at(format!("nothing has a label {label}")))
    }

    /// The labels of a metric as it is asked for; nothing when there is none of this name.
    fn labels(&self, name: &str) -> Option<Labels> {
        if FOREIGN.contains(&name) || FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Some(Labels::new());
        }
        if self.recorded.contains(name) {
            return Some(Labels::new());
        }
        let parts = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let histogram = parts.and_then(|whole| self.catalogue.get(whole)).filter(|metric| metric.histogram);
        let plain = self.catalogue.get(name).filter(|metric| !metric.histogram);
        histogram.or(plain).map(|metric| metric.labels.clone())
    }
}

/// What a query asks for.
#[derive(Default)]
struct Asked {
    /// Metrics, each with what its labels must be.
    selectors: Vec<(String, Vec<Matcher>)>,
    /// Labels by which results are grouped.
    grouped: Vec<String>,
}

impl Asked {
    fn selector(&mut self, selector: &VectorSelector) {
        let matched = selector.matchers.matchers.clone();
        self.selectors.push((selector.name.clone().unwrap_or_default(), matched));
    }
}

impl ExprVisitor for Asked {
    type Error = anyhow::Error;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool> {
        match expr {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Aggregate(aggregate) => {
                if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                    self.grouped.extend(labels.labels.iter().cloned());
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// Whether a label may be what it is compared with: of `a|b_.*` each part, itself or as the beginning of a value.
fn is_among(op: &MatchOp, wanted: &str, values: &[String]) -> bool {
    let is_one = |part: &str| match part.strip_suffix(".*") {
        Some(beginning) => values.iter().any(|value| value.starts_with(beginning)),
        None => values.iter().any(|value| value == part),
    };
    match op {
        MatchOp::Equal | MatchOp::NotEqual => values.iter().any(|value| value == wanted),
        MatchOp::Re(_) | MatchOp::NotRe(_) => wanted.split('|').all(is_one),
    }
}

/// A query without Grafana's own variables.
fn plain(query: &str) -> String {
    query.replace("$__rate_interval", "5m").replace("$__range", "1h")
}

/// The catalogue as docs/metrics.md has it, which is held to the code elsewhere: `| name | type | labels | help |`.
fn catalogue() -> Result<BTreeMap<String, Metric>> {
    let page = read("docs/metrics.md")?;
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let metrics: BTreeMap<String, Metric> = rows.filter_map(metric).collect();
    ensure!(metrics.len() > 50, "found only {} metrics in docs/metrics.md", metrics.len());
    Ok(metrics)
}

fn metric(row: &str) -> Option<(String, Metric)> {
    let mut cells = row.split(" | ");
    let name = cells.next()?.trim_start_matches("| `").trim_end_matches('`').to_owned();
    let histogram = cells.next()?.starts_with("histogram");
    // `kind`: `inbound`, `status`<br>`outcome`: …
    let label = |part: &str| {
        let (label, told) = part.trim().strip_prefix('`')?.split_once("`: ")?;
        Some((label.to_owned(), values(told)))
    };
    let labels = cells.next()?.split("<br>").filter_map(label).collect();
    Some((name, Metric { histogram, labels }))
}

/// `inbound`, `status`: all a label may be. Nothing where it is only told what bounds it.
fn values(told: &str) -> Option<Vec<String>> {
    told.split(", ").map(|part| part.strip_prefix('`')?.strip_suffix('`').map(str::to_owned)).collect()
}

/// A rule that records or alerts.
struct Rule {
    name: String,
    alert: bool,
    query: Query,
    body: Value,
}

fn rules() -> Result<Vec<Rule>> {
    let mut all = Vec::new();
    for name in ["recording", "alerts"] {
        let file = format!("deploy/prometheus/{name}.rules.yaml");
        let yaml: Value =
            serde_saphyr::from_str(&read(&file)?).map_err(|error| anyhow!("{file}: {error}"))?;
        for rule in list(&yaml["groups"])?.iter().map(|group| list(&group["rules"])) {
            all.extend(rule?.iter().map(|body| {
                let alert = body["alert"].is_string();
                let name = text(if alert { &body["alert"] } else { &body["record"] });
                let query = Query { place: format!("{file}, {name}"), text: text(&body["expr"]) };
                Rule { name, alert, query, body: body.clone() }
            }));
        }
    }
    Ok(all)
}

fn recorded() -> Result<BTreeSet<String>> {
    Ok(rules()?.into_iter().filter(|rule| !rule.alert).map(|rule| rule.name).collect())
}

fn dashboards() -> Result<Vec<Value>> {
    let files = read_all("deploy/grafana/dashboards", "json")?;
    ensure!(files.len() >= 4, "found only {} dashboards", files.len());
    files.values().map(|file| Ok(serde_json::from_str(file)?)).collect()
}

/// The panels that show something.
fn shown(board: &Value) -> impl Iterator<Item = &Value> {
    board["panels"].as_array().into_iter().flatten().filter(|panel| panel["type"] != "row")
}

fn panels() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for board in dashboards()? {
        for panel in shown(&board) {
            let place = format!("dashboard {}, panel {}", board["uid"], panel["title"]);
            queries.extend(
                list(&panel["targets"])?
                    .iter()
                    .map(|target| Query { place: place.clone(), text: text(&target["expr"]) }),
            );
        }
    }
    Ok(queries)
}

/// Every runbook by its name.
fn runbooks() -> Result<BTreeMap<String, String>> {
    read_all("docs/runbooks", "md")
}

/// The queries of "First look": one a line.
fn runbook_queries() -> Result<Vec<Query>> {
    let mut queries = Vec::new();
    for (name, page) in runbooks()? {
        let (_, rest) = page.split_once("```promql\n").with_context(|| format!("{name}: no queries"))?;
        let block = rest.split("```").next().unwrap_or_default();
        ensure!(block.lines().count() >= 3, "{name}: fewer than three queries");
        queries.extend(
            block.lines().map(|line| Query { place: format!("runbook {name}"), text: line.to_owned() }),
        );
    }
    Ok(queries)
}

/// All files of a folder by their name without `.extension`.
fn read_all(folder: &str, extension: &str) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(Path::new(ROOT).join(folder))? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            let name = path.file_stem().context("a file without a name")?.to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(files)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(Path::new(ROOT).join(path)).with_context(|| path.to_owned())
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("a list is missing")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
