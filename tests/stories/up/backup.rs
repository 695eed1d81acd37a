//! A backup taken in the middle of everything, and brought back after all was lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use casewire_testkit::eventually;
use casewire_testkit::process::Start;
use chrono::Utc;
use serde_json::{Value, json};

use super::restart::{Rig, events, up_of};
use crate::kit::{
    ACCOUNT, AUTH_TOKEN, Desk, Dice, Home, Page, SOON, Up, bodies, message_sid, person, say, sentence, texts,
};

/// How long an `up` that looks for hundreds of texts on Twilio's list may take on a busy machine.
const SETTLED: Duration = Duration::from_secs(60);
/// Somebody who texts only after the backup.
const LATE: &str = "+12065559999";

/// So few a second that some always wait.
fn slowly(up: Start) -> Start {
    up.env("CASEWIRE_SENDER__RATE_PER_LINE", "5")
}

/// Looks at Twilio's list without a minute's patience.
fn soon(up: Start) -> Start {
    let looks = [("FIRST", "1s"), ("SECOND", "2s"), ("LAST", "3s")];
    let up = looks
        .iter()
        .fold(slowly(up), |up, (which, after)| up.env(format!("CASEWIRE_SENDER__SETTLE_{which}"), *after));
    up.env("CASEWIRE_WORKER__SWEEP_SETTLE", "1ms")
}

fn only_backup(among: &Path) -> PathBuf {
    let found: Vec<_> = fs::read_dir(among).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(found.len(), 1, "nothing unfinished is left: {found:?}");
    found[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_a_backup_is_in_it_and_nobody_is_texted_twice_after_it_is_restored() {
    let (rig, up) = Rig::start_with(slowly).await;
    let mut crowd: Vec<_> = (1..3).map(|n| tokio::spawn(rig.clone().customer(Dice::new(n)))).collect();
    crowd.push(tokio::spawn(rig.clone().agent(Dice::new(0))));
    let busy = async |taken: usize| {
        eventually("there is a load", SETTLED, async || {
            rig.books.taken() >= taken && !rig.replies.lock().await.is_empty()
        })
        .await
        .unwrap();
    };
    busy(60).await;
    let before: Vec<String> = rig
        .books
        .entries()
        .into_iter()
        .filter(|(_, it)| it.answer == Some(200))
        .map(|(sid, _)| sid)
        .collect();
    let backups = rig.home.data().parent().unwrap().join("backups");
    let to = backups.to_str().unwrap();
    let said = rig.home.run(&["backup", "--to", to]).await;
    assert!(said.contains("The master key is NOT in it"), "{said}");
    let sent_before: usize = rig.accepted().await.values().sum();
    late_text(&rig).await;
    eventually("more is sent after the backup", SETTLED, async || {
        rig.accepted().await.values().sum::<usize>() > sent_before + 5
    })
    .await
    .unwrap();
    busy(before.len() + 20).await;
    up.process.kill().unwrap();
    crowd.iter().for_each(|one| one.abort());
    let backup = only_backup(&backups);
    assert!(!backup.join("master.key").exists());

    let home = rig.home.beside();
    let key = rig.home.data().join("master.key");
    let said = home.run(&["restore", "--from", to, "--master-key-file", key.to_str().unwrap()]).await;
    assert!(said.contains("is restored into") && said.contains("None is sent again by itself"), "{said}");
    let up = Up::ready(soon(up_of(&home, &rig.api)).spawn().unwrap()).await;

    eventually("every text answered before the backup is in a case", SETTLED, async || {
        let placed = placed(&rig.cases().await);
        before.iter().all(|sid| placed.contains_key(sid))
    })
    .await
    .unwrap();
    eventually("what Twilio has of what waited is recognised", SETTLED, async || {
        let (cases, accepted) = (rig.cases().await, rig.accepted().await);
        waited(&cases).all(|(to, text)| !sent(&accepted, to, text) || is_settled(text))
    })
    .await
    .unwrap();
    eventually("the text that only Twilio remembers is in a case", SETTLED, async || {
        placed(&rig.cases().await).contains_key("after the backup")
    })
    .await
    .unwrap();

    let (cases, accepted) = (rig.cases().await, rig.accepted().await);
    assert!(placed(&cases).values().all(|times| *times == 1), "no text is in two cases");
    let (held_back, recognised) =
        (waited(&cases).count(), waited(&cases).filter(|(_, text)| is_settled(text)).count());
    say(&format!("{} texts before, {held_back} of ours on their way, {recognised} recognised", before.len()));
    assert!(recognised > 0 && recognised < held_back, "some were sent since and some were not");
    no_one_was_texted_twice(&accepted);

    // Life goes on.
    rig.books.send(&rig.hook, &message_sid(), "+12065558888", "and now").await;
    eventually("a new text is answered", SETTLED, async || {
        rig.accepted().await.keys().any(|(to, _)| to == "+12065558888")
    })
    .await
    .unwrap();
    no_one_was_texted_twice(&rig.accepted().await);
    up.stop().await;
}

/// A text that Twilio has on its list, as the others here are not.
async fn late_text(rig: &Rig) {
    let draft = json!({
        "from": LATE, "to": "+15550001111", "body": "after the backup", "account_sid": ACCOUNT, "auth_token": AUTH_TOKEN,
        "webhook_url": format!("{}/inbound/{}", rig.home.url(), rig.hook.line),
    });
    let client = casewire_testkit::http::client().unwrap();
    let sent = client.post(format!("{}/simulator/texts", rig.api)).json(&draft).send().await.unwrap();
    assert_eq!(sent.json::<Value>().await.unwrap()["taken"], true);
}

/// How often each text of a customer is in a case.
fn placed(cases: &[Value]) -> BTreeMap<String, usize> {
    let mut placed = BTreeMap::new();
    for body in cases.iter().flat_map(|case| bodies(case, "inbound")) {
        *placed.entry(body.to_owned()).or_default() += 1;
    }
    placed
}

/// Texts of ours that were on their way when the backup was taken, and to whom.
fn waited(cases: &[Value]) -> impl Iterator<Item = (&str, &Value)> {
    cases.iter().flat_map(|case| {
        let to = case["contact"]["address"].as_str().unwrap();
        let restored =
            move |text: &&Value| events(case, "send_uncertain", text).any(|it| it["at"].is_string());
        texts(case, "outbound").filter(restored).map(move |text| (to, text))
    })
}

fn sent(accepted: &BTreeMap<(String, String), usize>, to: &str, text: &Value) -> bool {
    accepted.contains_key(&(to.to_owned(), text["body"].as_str().unwrap().to_owned()))
}

fn is_settled(text: &Value) -> bool {
    !["uncertain", "queued", "sending"].iter().any(|open| text["status"] == *open)
        || text["provider_sid"].is_string()
}

/// Not the same words, and not the acknowledgement of one first text in other words.
fn no_one_was_texted_twice(accepted: &BTreeMap<(String, String), usize>) {
    let mut acknowledged = BTreeMap::<&str, usize>::new();
    for ((to, body), times) in accepted {
        assert_eq!(*times, 1, "{body} to {to}");
        if body.contains("Your case number is") {
            *acknowledged.entry(to).or_default() += 1;
        }
    }
    assert!(acknowledged.values().all(|times| *times == 1), "{acknowledged:?}");
}

/// When `up` believes that it was last backed up, in seconds since 1970.
async fn last_backup(up: &Up) -> Option<f64> {
    let url = format!("{}/metrics", up.ops);
    let text = casewire_testkit::http::client().unwrap().get(url).send().await.unwrap().text().await.unwrap();
    let name = "casewire_backup_last_success_timestamp_seconds ";
    text.lines().find_map(|line| line.strip_prefix(name))?.parse().ok()
}

#[tokio::test]
async fn a_backup_is_taken_with_and_without_up_and_goes_where_nothing_is() {
    let home = Home::on_one_port();
    let backups = home.data().parent().unwrap().join("backups");
    let to = backups.to_str().unwrap();
    assert!(home.refused(&["backup", "--to", to]).await.contains("there is no casewire database"));
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    page.text(&person(1), "my heater is broken").await;
    page.arrived(&person(1), "case number").await;
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    assert!(last_backup(&up).await.is_some_and(|at| at == 0.0), "there was none yet");
    let before = Utc::now().timestamp();
    home.run(&["backup", "--to", to]).await;
    let running = only_backup(&backups);
    eventually("the alert's metric tells of it", SETTLED, async || {
        last_backup(&up).await.is_some_and(|at| at as i64 >= before)
    })
    .await
    .unwrap();
    let refused = home.refused(&["restore", "--from", to]).await;
    assert!(refused.contains("runs on") && refused.contains("stop it"), "{refused}");
    up.stop().await;
    let refused = home.refused(&["restore", "--from", to]).await;
    assert!(refused.contains("holds an installation already") && refused.contains("--force"), "{refused}");

    // Stopped it is the command that opens the stream; what is kept is the newest.
    eventually("another second", SOON, async || {
        home.command(&["backup", "--to", to, "--keep", "1"]).run(SOON).await.unwrap().status.success()
    })
    .await
    .unwrap();
    let stopped = only_backup(&backups);
    assert_ne!(stopped, running);

    // In place, over what is there: the key is there still, and the old files are moved aside.
    fs::write(home.data().join("casewire.db"), "spoilt").unwrap();
    let said = home.run(&["restore", "--from", to, "--force"]).await;
    assert!(said.contains("What was there before is in"), "{said}");
    let up = home.start().await;
    let case = desk.case("00001001").await;
    assert_eq!(bodies(&case, "inbound"), ["my heater is broken"]);
    page.text(&person(2), "another").await;
    page.arrived(&person(2), "case number").await;
    up.stop().await;

    // Without its key, and with another one.
    let elsewhere = home.beside();
    let said = elsewhere.run(&["restore", "--from", to]).await;
    assert!(said.contains("put your copy of the master key at"), "{said}");
    let refused = sentence(elsewhere.up().run(SOON).await.unwrap());
    assert!(refused.contains("master.key is gone"), "{refused}");
    let other = elsewhere.write("other.key", "Y2FzZXdpcmUtdGVzdC1tYXN0ZXIta2V5LTMyLWJ5dGU=");
    let refused = home.beside().refused(&["restore", "--from", to, "--master-key-file", &other]).await;
    assert!(refused.contains("does not belong to this database"), "{refused}");
}

#[tokio::test]
async fn a_damaged_backup_and_a_restore_that_was_cut_off_are_told() {
    let home = Home::on_one_port();
    home.start().await.stop().await;
    let backups = home.data().parent().unwrap().join("backups");
    let to = backups.to_str().unwrap();
    home.run(&["backup", "--to", to]).await;
    let database = only_backup(&backups).join("casewire.db");
    let whole = fs::read(&database).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8_192].fill(0xee);
    fs::write(&database, damaged).unwrap();
    let other = home.beside();
    let refused = other.refused(&["restore", "--from", to]).await;
    assert!(refused.contains("damaged") || refused.contains("cannot be read"), "{refused}");
    fs::write(&database, whole).unwrap();
    let empty = home.write("empty", "");
    assert!(other.refused(&["restore", "--from", &empty]).await.contains("cannot be read"));

    // As a power cut leaves it: the old files are away, the new ones not all there.
    fs::create_dir_all(other.data().join("restoring")).unwrap();
    let refused = sentence(other.up().run(SOON).await.unwrap());
    assert!(refused.contains("was not finished") && refused.contains("casewire restore"), "{refused}");
    other.run(&["restore", "--from", to]).await;
    fs::copy(home.data().join("master.key"), other.data().join("master.key")).unwrap();
    other.start().await.stop().await;
}
