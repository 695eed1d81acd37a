//! What an operator is given, as a whole and for real: the services of docker-compose.yml as plain processes, the
//! delivered Prometheus configuration, rules and dashboards. `make verify` runs it; it takes minutes, and root.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod compose;
mod kit;
mod scraper;
#[path = "../stories/canaries/search.rs"]
mod search;
mod seen;
mod stack;

use std::path::Path;
use std::time::Duration;

use casewire_testkit::eventually;
use kit::{Collector, Desk, Role, casewire, message_sid};
use reqwest::StatusCode;
use scraper::{Scraper, panels};
use secrecy::ExposeSecret;
use stack::Stack;
use tempfile::TempDir;

/// How long texts, replies and the first sweeps may take on a busy machine.
const SETTLED: Duration = Duration::from_secs(180);
/// How often somebody tries again: every look is a text.
const PAUSE: Duration = Duration::from_secs(2);
/// Somebody whose phone is off: what is sent there is not delivered.
const UNREACHABLE: &str = "+15005553003";
/// Not a mobile number: the provider refuses it.
const REFUSED: &str = "+15005550009";
/// What customers and agents write, as it is looked for.
const TEXT: &str = "zq7heater";
const REPLY: &str = "zq7answer";
/// Who fills the stream.
const TALKER: &str = "+12065550300";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn composes_services_survive_kills_fill_every_panel_and_raise_and_clear_the_right_alerts() {
    let collector = Collector::start();
    let mut stack = Stack::start(&collector).await;
    let addresses: Vec<_> = stack.roles().map(|role| (role.name, address(&role.ops("")))).collect();
    let up = Role::new("up", &Vec::new());
    let scraper = Scraper::start(&addresses, &address(&up.ops(""))).await;
    say("everything is up");

    let token = stack.command(&["token", "create", "--name", "verify"]).await;
    let desk = Desk::new(&stack.desk.url(), &token);
    let live = desk.get("/events").send().await.unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    work(&stack, &desk).await;
    let (of_up, of_compose) = panels().into_iter().partition(|(_, query)| query.contains("casewire_backup_"));
    none_is_empty(&scraper, &desk, of_compose).await;
    drop(live);
    one_process_is_backed_up(up, &scraper, &desk, of_up).await;
    eventually("one trace leads from a webhook to a delivery", SETTLED, async || {
        seen::is_followed(&collector)
    })
    .await
    .unwrap();
    say("one trace leads from a webhook to a delivery");

    each_role_is_killed_and_comes_back(&stack, &desk).await;
    no_worker(&stack, &scraper).await;
    a_bad_token(&stack, &desk, &scraper).await;
    a_full_stream(&mut stack, &scraper).await;

    let numbers = [&customer(1), &customer(7), UNREACHABLE, REFUSED, TALKER];
    let canaries = seen::canaries(&stack, &[TEXT, REPLY], &numbers, &token);
    seen::nothing_personal(&stack, &scraper, &collector, &canaries).await;
}

fn customer(n: usize) -> String {
    format!("+120655501{n:02}")
}

/// A little of everything: texts, a repeat, a forgery, words of opting out, replies that arrive and that do not.
async fn work(stack: &Stack, desk: &Desk) {
    let customers = (0..10).map(customer);
    for from in customers.chain([UNREACHABLE.to_owned(), REFUSED.to_owned()]) {
        let sid = message_sid();
        for _ in 0..2 {
            let answer = stack.hook.text(&sid, &from, &format!("my {TEXT} is broken")).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
    for word in ["STOP", "START", "HELP"] {
        stack.hook.text(&message_sid(), &customer(0), word).await.unwrap();
    }
    let forged = kit::Hook { token: "forged".into(), ..stack.hook.clone() };
    let refused = forged.text(&message_sid(), &customer(0), TEXT).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let nobody = Desk::new(&stack.desk.url(), "nobody").get("/cases").send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    eventually("every customer has a case", SETTLED, async || desk.cases("").await.len() == 12)
        .await
        .unwrap();
    for case in desk.cases("").await {
        let number = case["number"].as_str().unwrap();
        let (status, said) = desk.reply(number, &format!("{REPLY}: we are on our way."), number).await;
        assert!(status.is_success(), "{said}");
    }
}

async fn none_is_empty(scraper: &Scraper, desk: &Desk, panels: Vec<(String, String)>) {
    assert!(!panels.is_empty());
    for (panel, query) in &panels {
        let what = format!("panel {panel} shows something: {query}");
        let shown = async || {
            // An agent looks meanwhile: what was asked once, before the first scrape, has no rate.
            desk.cases("").await;
            scraper.found(query).await > 0
        };
        eventually(&what, SETTLED, shown).await.unwrap();
    }
    say(&format!("none of {} queries of dashboards is empty", panels.len()));
}

/// What compose has not: one process with a folder of its own, which is backed up, and the panels that show it.
async fn one_process_is_backed_up(
    mut up: Role,
    scraper: &Scraper,
    desk: &Desk,
    panels: Vec<(String, String)>,
) {
    let folder = TempDir::new().unwrap();
    let data = ("CASEWIRE_DATA__DIR".to_owned(), folder.path().join("data").display().to_string());
    let backup = casewire(&["backup", "--to"]).arg(folder.path().join("backups")).env(&data.0, &data.1);
    up.set(data);
    up.start().await;
    backup.run_well(SETTLED).await.unwrap();
    let told = "time() - casewire_backup_last_success_timestamp_seconds < 600";
    eventually("it tells of the backup", SETTLED, async || scraper.found(told).await == 1).await.unwrap();
    none_is_empty(scraper, desk, panels).await;
    up.end().await;
}

async fn each_role_is_killed_and_comes_back(stack: &Stack, desk: &Desk) {
    for (n, role) in stack.roles().enumerate() {
        role.kill();
        role.start().await;
        let from = format!("+120655502{n:02}");
        let text =
            async || stack.hook.text(&message_sid(), &from, "hello").await.map(|answer| answer.status());
        eventually("ingest takes texts", SETTLED, async || text().await.is_ok_and(|status| status == 200))
            .await
            .unwrap();
        let cases = 12 + n + 1;
        eventually("the text becomes a case", SETTLED, async || {
            desk.cases("?limit=100").await.len() == cases
        })
        .await
        .unwrap();
        say(&format!("{} was killed and came back", role.name));
    }
}

async fn no_worker(stack: &Stack, scraper: &Scraper) {
    // The `up` that was backed up has ended, and is told.
    scraper.alert("RoleDown", ", role!=\"up\"", false).await;
    for worker in &stack.workers {
        worker.end().await;
    }
    scraper.alert("RoleDown", ", role=\"worker\"", true).await;
    scraper.alert("RoleDown", ", role!~\"worker|up\"", false).await;
    for worker in &stack.workers {
        worker.start().await;
    }
    scraper.alert("RoleDown", ", role!=\"up\"", false).await;
}

async fn a_bad_token(stack: &Stack, desk: &Desk, scraper: &Scraper) {
    let good = stack.hook.token.expose_secret().to_owned();
    stack.insist_on(&good).await;
    scraper.alert("ProviderCircuitOpen", "", false).await;
    stack.rotate_token("not-the-accounts-token").await;
    let case = desk.cases("?limit=1").await[0]["number"].as_str().unwrap().to_owned();
    // Workers learn of the token within a second; a reply that was quicker has still left.
    eventually("the account is refused", SETTLED, async || {
        assert!(desk.reply(&case, "Are you there?", &message_sid()).await.0.is_success());
        tokio::time::sleep(PAUSE).await;
        scraper.found("casewire_provider_circuit_open > 0").await > 0
    })
    .await
    .unwrap();
    scraper.alert("ProviderCircuitOpen", "", true).await;
    stack.rotate_token(&good).await;
    scraper.alert("ProviderCircuitOpen", "", false).await;
}

async fn a_full_stream(stack: &mut Stack, scraper: &Scraper) {
    let fill = "max(casewire_stream_bytes / casewire_stream_limit_bytes) > 0.85";
    fill_until(stack, scraper, "a shard is nearly full", fill).await;
    scraper.alert("StreamNearlyFull", "", true).await;
    // What the shard refuses is answered 200 all the same: ingest's spill takes it.
    fill_until(stack, scraper, "the shard refuses", "casewire_spill_events > 0").await;
    scraper.alert("SpillInUse", "", true).await;
    // The sweepers empty it in time; these are in a hurry.
    for worker in &mut stack.workers {
        worker.end().await;
        worker.set(("CASEWIRE_WORKER__SWEEP_INTERVAL".to_owned(), "2s".to_owned()));
        worker.set(("CASEWIRE_WORKER__SWEEP_SETTLE".to_owned(), "1s".to_owned()));
        worker.start().await;
    }
    scraper.alert("StreamNearlyFull", "", false).await;
    scraper.alert("SpillInUse", "", false).await;
}

/// Somebody texts on and on, and is answered well.
async fn fill_until(stack: &Stack, scraper: &Scraper, what: &str, query: &str) {
    let long = TEXT.repeat(1500 / TEXT.len());
    eventually(what, SETTLED, async || {
        for _ in 0..20 {
            let answer = stack.hook.text(&message_sid(), TALKER, &long).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
        scraper.found(query).await > 0
    })
    .await
    .unwrap();
    say(what);
}

/// `host:port` of a URL.
fn address(url: &str) -> String {
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// A YAML file, with its anchors followed.
fn yaml(path: &Path) -> serde_json::Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Tells whoever waits.
#[expect(clippy::print_stdout, reason = "it takes minutes")]
fn say(what: &str) {
    println!("{what}");
}
