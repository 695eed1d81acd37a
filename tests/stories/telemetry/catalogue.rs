//! What every role shows is what the catalogue lists for it.

use std::time::Duration;

use casewire_testkit::eventually;

use super::exposition::problems;
use crate::kit::{Cluster, Desk, Home, Role, Up, casewire};

/// Gauges are shown once they were read, and a sweeper's end once there was one.
const SHOWN: Duration = Duration::from_secs(60);
/// Sweeps at once.
const SWEEPS: [(&str, &str); 2] = [("WORKER__SWEEP_INTERVAL", "1s"), ("WORKER__RECONCILE_SETTLE", "1s")];

async fn scraped(url: &str) -> String {
    let answer = casewire_testkit::http::client().unwrap().get(url).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Waits until what a process shows and what is listed for its role are the same.
async fn shows_what_is_listed(role: &str, url: &str) {
    let fits =
        eventually("all is shown", SHOWN, async || problems(role, &scraped(url).await).is_empty()).await;
    assert!(fits.is_ok(), "{}", problems(role, &scraped(url).await).join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_shows_the_metrics_that_are_listed_for_it_and_no_other() {
    let plan = SWEEPS.iter().fold(Cluster::plan().desks(1), |plan, (name, value)| plan.set(name, value));
    let cluster = plan.start().await;
    let token = cluster.command(&["token", "create", "--name", "agent"]).await;
    // A route is shown once somebody asked for it.
    assert!(Desk::new(&cluster.desks[0].url(), token.trim()).cases("").await.is_empty());
    for role in cluster.roles() {
        shows_what_is_listed(role.name, &role.ops("metrics")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_shows_them_all() {
    let home = Home::new();
    let start = SWEEPS.iter().fold(home.up(), |up, (name, value)| up.env(format!("CASEWIRE_{name}"), value));
    let up = Up::ready(start.spawn().unwrap()).await;
    let client = casewire_testkit::http::client().unwrap();
    assert_eq!(client.get(format!("{}/", up.base)).send().await.unwrap().status(), 303, "to the page");
    shows_what_is_listed("up", &format!("{}/metrics", up.ops.trim_end_matches("/readyz"))).await;
    up.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulator_alone_shows_what_every_process_does() {
    let role = Role::new("simulator", &Vec::new());
    role.start().await;
    shows_what_is_listed("simulator", &role.ops("metrics")).await;
}

#[tokio::test]
async fn the_catalogue_is_printed_for_people_for_the_page_and_for_programs() {
    let printed = async |args: &[&str]| casewire(args).run_well(SHOWN).await.unwrap();
    let page = include_str!("../../../docs/metrics.md");
    assert_eq!(printed(&["metrics", "--markdown"]).await.trim_end(), page.trim_end(), "write the page anew");
    let table = printed(&["metrics"]).await;
    assert!(
        table.lines().any(|line| line.contains("casewire_webhook_requests_total") && line.contains("ingest"))
    );
    let json: serde_json::Value = serde_json::from_str(&printed(&["metrics", "--json"]).await).unwrap();
    let listed =
        json.as_array().unwrap().iter().find(|it| it["name"] == "casewire_publish_ack_duration_seconds");
    let listed = listed.unwrap();
    assert_eq!(
        (&listed["type"], &listed["unit"], &listed["exemplars"]),
        (&"histogram".into(), &"seconds".into(), &true.into())
    );
}
