//! Lines and tokens that change while everything runs.

use std::time::{Duration, Instant};

use casewire_simulator::Account;

use crate::kit::{ACCOUNT, Cluster, Hook, TOKEN, message_sid, person, say};

/// On a machine that does much else; by itself it takes up to half a second.
const SOON: Duration = Duration::from_secs(3);
const NEW_TOKEN: &str = "the-token-after-the-rotation";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_or_token_that_a_command_changes_works_at_once() {
    let cluster = Cluster::plan().workers(2).start().await;
    // Twilio takes both tokens for as long as one is being promoted.
    let account = Account { secondary_token: Some(NEW_TOKEN.into()), ..Account::with_token(TOKEN) };
    cluster.simulator.set_account(ACCOUNT.parse().unwrap(), account);
    let second = Hook { line: "second".into(), ..cluster.hook.clone() };
    let sid = message_sid();
    assert_eq!(cluster.books.send(&second, &sid, &person(1), "too early").await, Some(403));
    let add = ["line", "add", "--id", "second", "--number", "+15550002222", "--account-sid", ACCOUNT];
    cluster.command(&add).await;
    let added = until(&cluster, &second, 200).await;

    let token = cluster.secret("new-token", NEW_TOKEN);
    cluster
        .command(&["account", "rotate-token", ACCOUNT, "--auth-token-file", token.to_str().unwrap()])
        .await;
    let new = Hook { token: NEW_TOKEN.into(), ..cluster.hook.clone() };
    let rotated = until(&cluster, &new, 200).await;
    assert_eq!(cluster.books.send(&cluster.hook, &message_sid(), &person(2), "old token").await, Some(200));
    cluster.command(&["account", "rotate-token", ACCOUNT, "--drop-old"]).await;
    let dropped = until(&cluster, &cluster.hook, 403).await;
    assert_eq!(cluster.books.send(&new, &message_sid(), &person(3), "new token").await, Some(200));

    cluster.command(&["line", "remove", "second"]).await;
    let removed = until(&cluster, &Hook { line: "second".into(), ..new }, 403).await;
    cluster.settle(Duration::from_secs(60)).await;
    cluster.check(0).await;
    say(&format!(
        "a line worked after {added:.2?}, a new token after {rotated:.2?}; \
         an old token was refused after {dropped:.2?}, a removed line after {removed:.2?}"
    ));
}

/// How long it takes, from when the command has ended, until a text is answered so.
async fn until(cluster: &Cluster, hook: &Hook, status: u16) -> Duration {
    let start = Instant::now();
    let answered =
        async || cluster.books.send(hook, &message_sid(), &person(1), "now?").await == Some(status);
    casewire_testkit::eventually(&format!("{status} is answered"), SOON, answered).await.unwrap();
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_added_before_any_worker_runs_is_known_to_ingest() {
    // Starting waits until the board shows the line.
    let cluster = Cluster::plan().workers(0).start().await;
    assert_eq!(cluster.books.send(&cluster.hook, &message_sid(), &person(1), "early").await, Some(200));
    cluster.nats.kill().unwrap();
    let add = ["line", "add", "--id", "second", "--number", "+15550002222", "--account-sid", ACCOUNT];
    let said = cluster.command(&add).await;
    assert!(said.contains("line second is added") && said.contains("from the next worker"), "{said}");
}
