//! A real Prometheus on the delivered configuration and rules, in a hurry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use casewire_testkit::{Casewire, eventually, port, prometheus};
use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// How long an alert may take to fire or to clear: the longest look back of those that are tried is a minute, on a
/// machine with much else to do.
const ALERTED: Duration = Duration::from_secs(180);

pub(crate) struct Scraper {
    url: String,
    client: reqwest::Client,
    _process: Casewire,
    _folder: TempDir,
}

impl Scraper {
    /// Starts one that scrapes these roles, each by its ops address (`host:port`), every second, and an `up` beside them
    /// once it is there. Rules are evaluated as often, and `for` is two seconds everywhere: what is tried is the wiring;
    /// promtool tries the times.
    pub(crate) async fn start(roles: &[(&str, String)], up: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = config(folder.path(), roles, up);
        let listen = format!("127.0.0.1:{}", port::free().unwrap());
        let process = Casewire::at(prometheus().unwrap())
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={listen}"))
            .arg("--enable-feature=exemplar-storage")
            .spawn()
            .unwrap();
        let url = format!("http://{listen}");
        process.wait_until_ready(&format!("{url}/-/ready"), Duration::from_secs(60)).await.unwrap();
        let client = casewire_testkit::http::client().unwrap();
        let scraper = Self { url, client, _process: process, _folder: folder };
        // It finds its targets only after some seconds, and what was counted before has no rate.
        let all = async || scraper.found("up == 1").await == roles.len();
        eventually("every role is scraped", ALERTED, all).await.unwrap();
        scraper
    }

    /// How many series a query finds now that have a number: 0/0, or a quantile of nothing, shows nothing.
    pub(crate) async fn found(&self, query: &str) -> usize {
        let asked = self.client.get(format!("{}/api/v1/query", self.url)).query(&[("query", query)]);
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let number = |series: &&Value| {
            let told = series["value"][1].as_str().unwrap();
            told.parse::<f64>().unwrap().is_finite()
        };
        answer["data"]["result"].as_array().unwrap().iter().filter(number).count()
    }

    /// Every series with its labels and every exemplar, since the beginning.
    pub(crate) async fn everything(&self) -> String {
        let since = [("start", "0"), ("end", "9999999999")];
        let of = async |path: &str, query: (&str, &str)| {
            let asked = self.client.get(format!("{}/api/v1/{path}", self.url)).query(&since).query(&[query]);
            asked.send().await.unwrap().text().await.unwrap()
        };
        let series = of("series", ("match[]", "{__name__=~\".+\"}")).await;
        series + &of("query_exemplars", ("query", "{__name__=~\".+\"}")).await
    }

    /// Waits until an alert fires, or does so no more.
    pub(crate) async fn alert(&self, name: &str, labels: &str, fires: bool) {
        let query = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"{labels}}}");
        let what = format!("{name} {}", if fires { "fires" } else { "clears" });
        eventually(&what, ALERTED, async || (self.found(&query).await > 0) == fires).await.unwrap();
        super::say(&what);
    }
}

/// The delivered configuration, with static addresses for the names that containers have.
fn config(folder: &Path, roles: &[(&str, String)], up: &str) -> PathBuf {
    let delivered = Path::new(ROOT).join("deploy/prometheus");
    let mut config = super::yaml(&delivered.join("prometheus.yaml"));
    config["global"] = json!({ "scrape_interval": "1s", "evaluation_interval": "1s" });
    config["alerting"] = json!({});
    let casewire = config["scrape_configs"].as_array_mut().unwrap();
    casewire.retain(|job| job["job_name"] == "casewire");
    let names = casewire[0]["dns_sd_configs"][0]["names"].as_array().unwrap().clone();
    let known = |(role, address): &(&str, String)| {
        assert!(names.contains(&json!(role)), "Prometheus does not look for {role}");
        json!({ "targets": [address], "labels": { "role": role } })
    };
    let beside = json!({ "targets": [up], "labels": { "role": "up" } });
    casewire[0]["static_configs"] = roles.iter().map(known).chain([beside]).collect();
    for key in ["dns_sd_configs", "relabel_configs"] {
        casewire[0].as_object_mut().unwrap().remove(key);
    }
    let rules = ["recording.rules.yaml", "alerts.rules.yaml"].map(|name| {
        let path = folder.join(name);
        std::fs::write(&path, hurried(super::yaml(&delivered.join(name))).to_string()).unwrap();
        path
    });
    config["rule_files"] = json!(rules);
    // JSON is YAML.
    let path = folder.join("prometheus.yaml");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

fn hurried(mut rules: Value) -> Value {
    for group in rules["groups"].as_array_mut().unwrap() {
        group.as_object_mut().unwrap().remove("interval");
        for rule in group["rules"].as_array_mut().unwrap() {
            if rule["alert"].is_string() {
                rule["for"] = json!("2s");
            }
        }
    }
    rules
}

/// Every query of every dashboard, with where it stands, and with what the viewer chooses left open.
pub(crate) fn panels() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(Path::new(ROOT).join("deploy/grafana/dashboards")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().display().to_string();
        let board: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                // Long enough for what was done at the beginning, by whenever the last panel is looked at.
                let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "10m");
                let query =
                    ["$instance", "$role"].iter().fold(query, |query, name| query.replace(name, ".*"));
                all.push((format!("{name}, {}", panel["title"]), query));
            }
        }
    }
    assert!(all.len() > 100, "found only {} queries", all.len());
    all
}
