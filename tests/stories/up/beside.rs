//! Commands beside a running `up`.

use std::time::{Duration, Instant};

use casewire_testkit::eventually;
use reqwest::StatusCode;
use serde_json::Value;

use crate::kit::{ACCOUNT, AUTH_TOKEN, Desk, Home, Hook, Page, SOON, Up, message_sid, say, sentence, texts};

const CUSTOMER: &str = "+12065550100";
const NEW_TOKEN: &str = "fedcba9876543210fedcba9876543210";
/// What the issue promises of a change by any process.
const A_SECOND: Duration = Duration::from_secs(1);

async fn status(hook: &Hook) -> StatusCode {
    hook.text(&message_sid(), CUSTOMER, "hello").await.unwrap().status()
}

/// How long until a text is answered so; it must not take long.
async fn answers_soon(what: &str, hook: &Hook, expected: StatusCode) {
    let begun = Instant::now();
    eventually(what, Duration::from_secs(10), async || status(hook).await == expected).await.unwrap();
    say(&format!("{what} after {:?}", begun.elapsed()));
    assert!(begun.elapsed() < A_SECOND, "{what} took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_line_is_added_texted_removed_and_unknown_within_a_second_each() {
    let home = Home::new();
    let up = home.start().await;
    let token = home.write("token.txt", &format!("  {AUTH_TOKEN} \n\n"));
    let number = ["--number", "(206) 555-0123", "--account-sid", ACCOUNT];
    let add = [&["line", "add", "--id", "support"], &number[..]].concat();
    let said = home.refused(&add).await;
    assert!(said.contains("is new") && said.contains("--auth-token-file"), "{said}");

    let said = home.run(&[&add[..], &["--auth-token-file", &token]].concat()).await;
    let webhook = format!("webhook: {}/inbound/support#", up.base);
    let fragment = said.lines().find_map(|line| line.strip_prefix(&webhook)).unwrap().to_owned();
    assert!(fragment.contains("rc=5") && fragment.contains("rp=all"), "{said}");
    assert!(said.contains("goes to the simulator, not to a phone"), "{said}");
    let hook = Hook::new(&up.base, "support", ACCOUNT, AUTH_TOKEN);
    answers_soon("the line is known", &hook, StatusCode::OK).await;

    // The simulator lets the account in, and signs its callbacks with the password it was given.
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    let case = desk.case_when("00001001", "the acknowledgement is delivered", |case| {
        texts(case, "outbound").any(|text| text["status"] == "delivered")
    });
    assert_eq!(case.await["line"], "support");

    // Added again it is the same; another number under its id, or its number under another id, is not.
    let again = home.run(&add).await;
    assert!(again.contains("exists already"), "{again}");
    let another = ["line", "add", "--id", "support", "--number", "+12065550199", "--account-sid", ACCOUNT];
    let said = home.refused(&another).await;
    assert!(said.contains("line support exists already, with another --number:"), "{said}");
    let faster = [&add[..], &["--rate", "7", "--on-update", "Noted."]].concat();
    let said = home.refused(&faster).await;
    assert!(
        said.contains("with another --on-update, --rate:") && said.contains("line remove support"),
        "{said}"
    );
    let other = "AC0000000000000000000000000000000f";
    let owner = ["--number", "(206) 555-0123", "--account-sid", other, "--auth-token-file", &token];
    let said = home.refused(&[&["line", "add", "--id", "support"], &owner[..]].concat()).await;
    assert!(said.contains("with another --account-sid:"), "{said}");
    assert!(!home.run(&["account", "list"]).await.contains(other), "what is refused leaves nothing behind");
    let elsewhere = ["line", "add", "--id", "sales", "--number", "+12065550123", "--account-sid", ACCOUNT];
    let said = home.refused(&elsewhere).await;
    assert!(said.contains("line support has this number") && said.contains("line remove support"), "{said}");
    let listed = home.run(&["line", "list"]).await;
    assert!(listed.contains("support") && listed.contains("+12065550123"), "{listed}");
    let listed: Value = serde_json::from_str(&home.run(&["line", "list", "--json"]).await).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);

    let said = home.run(&["line", "remove", "support"]).await;
    assert!(said.contains("support is removed"), "{said}");
    answers_soon("the line is unknown", &hook, StatusCode::FORBIDDEN).await;
    let said = home.refused(&["line", "remove", "nowhere"]).await;
    assert!(said.contains("there is no line nowhere"), "{said}");
    assert_eq!(home.run(&["case", "list"]).await.lines().count(), 2, "its case stays");
}

#[tokio::test]
async fn an_account_keeps_its_token_until_somebody_rotates_it_and_drops_the_old_one() {
    let home = Home::new();
    let up = home.start().await;
    let old = home.line(&up).await;
    let file = home.write("new.txt", NEW_TOKEN);
    for command in [
        vec!["account", "add", "--account-sid", ACCOUNT, "--auth-token-file", &file],
        vec!["line", "add", "--number", "+12065550123", "--account-sid", ACCOUNT, "--auth-token-file", &file],
    ] {
        let said = home.refused(&command).await;
        assert!(said.contains("another token") && said.contains("rotate-token"), "{said}");
    }
    let same = home.write("same.txt", AUTH_TOKEN);
    let said = home.run(&["account", "add", "--account-sid", ACCOUNT, "--auth-token-file", &same]).await;
    assert!(said.contains("known already"), "{said}");
    let new = Hook { token: NEW_TOKEN.into(), ..old.clone() };
    assert_eq!(status(&new).await, StatusCode::FORBIDDEN);

    home.run(&["account", "rotate-token", ACCOUNT, "--auth-token-file", &file]).await;
    answers_soon("the new token is known", &new, StatusCode::OK).await;
    let said = home.run(&["account", "rotate-token", ACCOUNT, "--auth-token-file", &file]).await;
    assert!(said.contains("already as its newest; nothing is changed"), "{said}");
    assert_eq!(status(&old).await, StatusCode::OK, "the old one is live until it is dropped");
    let listed: Value = serde_json::from_str(&home.run(&["account", "list", "--json"]).await).unwrap();
    let account = listed.as_array().unwrap().iter().find(|it| it["account_sid"] == ACCOUNT).unwrap();
    assert_eq!(account["live_tokens"], 2);

    home.run(&["account", "rotate-token", ACCOUNT, "--drop-old"]).await;
    answers_soon("the old token is forgotten", &old, StatusCode::FORBIDDEN).await;
    assert_eq!(status(&new).await, StatusCode::OK);
    let unknown = "AC11111111111111111111111111111111";
    let said = home.refused(&["account", "rotate-token", unknown, "--drop-old"]).await;
    assert!(said.contains(&format!("there is no account {unknown}")), "{said}");
    let empty = home.write("empty.txt", " \n");
    let said = home.refused(&["account", "rotate-token", ACCOUNT, "--auth-token-file", &empty]).await;
    assert!(said.contains("empty.txt holds no secret"), "{said}");
    for sid in ["AC12", "AC0000000000000000000000000000000F"] {
        let said = home.refused(&["account", "add", "--account-sid", sid, "--auth-token-file", &file]).await;
        assert!(said.contains("AC and 32 lower-case hex digits"), "{said}");
    }
}

#[tokio::test]
async fn the_demo_goes_on_when_the_token_of_its_account_is_rotated() {
    let home = Home::new();
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    assert_eq!(page.text(CUSTOMER, "before").await["taken"], true);
    let demo = "AC00000000000000000000000000000000";
    let rotate = async |token: &str| {
        let file = home.write("new.txt", token);
        home.run(&["account", "rotate-token", demo, "--auth-token-file", &file, "--drop-old"]).await;
    };
    rotate(NEW_TOKEN).await;
    let hook = Hook::new(&up.base, "demo", demo, NEW_TOKEN);
    answers_soon("the new token is known", &hook, StatusCode::OK).await;
    rotate("another").await;
    answers_soon("the old token is forgotten", &hook, StatusCode::FORBIDDEN).await;
    eventually("the handset's text is taken", A_SECOND, async || {
        page.text(CUSTOMER, "after").await["taken"] == true
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_terminal_tells_what_the_api_tells() {
    let home = Home::new();
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    let token = home.run(&["token", "create", "--name", "laptop"]).await;
    assert!(token.starts_with("cw_") && token.trim_end().len() == 46 && token.ends_with('\n'), "{token}");
    assert_eq!(token.lines().count(), 1);
    let desk = Desk::new(&up.base, &token);
    for (from, body) in
        [(CUSTOMER, "my heater is broken"), ("+12065550101", "so is mine"), ("CASEWIRE", "spam")]
    {
        page.text(from, body).await;
    }
    eventually("three cases, two of them acknowledged", Duration::from_secs(10), async || {
        let cases = desk.cases("").await;
        let answered = async |case: &Value| {
            let case = desk.case(case["number"].as_str().unwrap()).await;
            texts(&case, "outbound").filter(|text| text["status"] == "delivered").count()
        };
        let mut delivered = 0;
        for case in &cases {
            delivered += answered(case).await;
        }
        cases.len() == 3 && delivered == 2
    })
    .await
    .unwrap();
    let json = async |args: &[&str]| -> Value { serde_json::from_str(&home.run(args).await).unwrap() };
    let api: Value = desk.get("/cases").send().await.unwrap().json().await.unwrap();
    assert_eq!(json(&["case", "list", "--json"]).await, api);
    assert_eq!(json(&["case", "show", "00001001", "--json"]).await, desk.case("00001001").await);
    let one: Value =
        json(&["case", "list", "--json", "--contact", "(206) 555-0101", "--status", "open"]).await;
    assert_eq!(one["items"][0]["subject"], "so is mine");
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    assert!(home.run(&["case", "list", "--limit", "2"]).await.contains("there are more"));
    assert!(home.run(&["case", "list", "--status", "closed"]).await.contains("no cases"));
    let shown = home.run(&["case", "show", "00001001"]).await;
    for part in ["Case 00001001, open", "← my heater is broken", "[automatic, delivered]"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(home.refused(&["case", "show", "99999999"]).await.contains("there is no case 99999999"));
    assert!(home.refused(&["token", "create", "--name", " "]).await.contains("1 to 64 characters"));
    let twice = home.refused(&["token", "create", "--name", "laptop"]).await;
    assert!(twice.contains("a token called laptop already"), "{twice}");
}

#[tokio::test]
async fn a_reader_who_has_seen_enough_may_go_but_a_full_disk_is_told() {
    let home = Home::new();
    let _up = home.start().await;
    let run = |args: &[&str], stdout: std::process::Stdio| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_casewire"));
        let command = command.args(args).arg("--data-dir").arg(home.data());
        command.stdin(std::process::Stdio::null()).stdout(stdout).output().unwrap()
    };
    for args in [&["case", "list"][..], &["line", "list", "--json"], &["check-config"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run(args, writer.into());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success() && said.is_empty(), "{args:?}: {said}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = run(args, full.into());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.starts_with("casewire: standard output cannot be written to"), "{said}");
    }
}

#[tokio::test]
async fn health_is_asked_where_it_is_and_answered_by_exit_code() {
    let home = Home::new();
    let nobody = format!("127.0.0.1:{}", casewire_testkit::port::free().unwrap());
    let ended = home.command(&["healthcheck"]).env("CASEWIRE_SERVER__OPS_LISTEN", &nobody).run(SOON).await;
    assert!(sentence(ended.unwrap()).ends_with(&format!("{nobody}: nobody listens there")));
    let up = home.start().await;
    eventually("it is ready", Duration::from_secs(10), async || {
        home.command(&["healthcheck"]).run(SOON).await.unwrap().status.success()
    })
    .await
    .unwrap();
    home.run(&["healthcheck", "--live"]).await;
    up.process.pause().await.unwrap();
    let said = home.refused(&["healthcheck", "--live"]).await;
    assert!(said.ends_with(": it did not answer in time"), "{said}");
    up.process.resume().unwrap();
    home.run(&["healthcheck", "--live"]).await;
    up.stop().await;
    home.refused(&["healthcheck"]).await;
}

#[tokio::test]
async fn the_configuration_that_holds_is_shown_without_its_secrets() {
    let home = Home::new();
    let key = home.write("master.key", "Y2FzZXdpcmUtdGVzdC1tYXN0ZXIta2V5LTMyLWJ5dGU=\n");
    let shown = home
        .command(&["check-config"])
        .env("CASEWIRE_TWILIO__ACCOUNT_SID", ACCOUNT)
        .env("CASEWIRE_TWILIO__AUTH_TOKEN", AUTH_TOKEN)
        .env("CASEWIRE_TWILIO__NUMBER", "+12065550123")
        .env("CASEWIRE_KEYS__MASTER_KEY_FILE", key)
        .env("CASEWIRE_DATABASE__URL", "postgres://u:hunter2@db/casewire")
        .env("CASEWIRE_DESK_PORT", "tcp://10.0.0.1:8081")
        .run_well(SOON)
        .await
        .unwrap();
    for secret in [AUTH_TOKEN, "hunter2", "Y2FzZXdpcmU"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    for part in ["[server]", "account_sid", ACCOUNT, "CASEWIRE_TWILIO__NUMBER", "auth_token"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let missing = home.command(&["check-config", "--role", "worker"]).run(SOON).await.unwrap();
    assert_eq!(missing.status.code(), Some(1));
    for part in ["public_url", "nats_url", "CASEWIRE_DATABASE__URL", "CASEWIRE_KEYS__MASTER_KEY"] {
        assert!(missing.stderr.contains(part), "{part}: {}", missing.stderr);
    }
}

#[tokio::test]
async fn a_text_that_up_was_never_told_of_is_found_on_the_list() {
    let home = Home::new();
    let up = home.up().env("CASEWIRE_WORKER__SWEEP_SETTLE", "1ms").spawn().unwrap();
    let up = Up::ready(up).await;
    let said = home.refused(&["reconcile", "--last"]).await;
    assert!(said.contains("nothing was compared yet"), "{said}");
    let token = home.run(&["token", "create", "--name", "laptop"]).await;
    let lines: Value = serde_json::from_str(&home.run(&["line", "list", "--json"]).await).unwrap();
    let unheard = serde_json::json!({
        "from": CUSTOMER, "to": lines[0]["number"], "body": "is anybody there?", "webhook_url": "http://127.0.0.1:9/",
    });
    let client = casewire_testkit::http::client().unwrap();
    let sent = client.post(format!("{}/simulator/texts", up.base)).bearer_auth(token.trim()).json(&unheard);
    let sent: Value = sent.send().await.unwrap().json().await.unwrap();
    assert_eq!(sent["taken"], false, "{sent}");

    let found = home.command(&["reconcile", "--since", "1h"]).run(SOON).await.unwrap();
    assert_eq!(found.status.code(), Some(3), "a gap was found and closed: {}{}", found.stdout, found.stderr);
    let rows: Vec<Vec<_>> = found.stdout.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..4], ["LINE", "SINCE", "LISTED", "KNOWN"]);
    assert_eq!(rows[1][3..], ["1", "0", "1", "0", "0", "0"], "{}", found.stdout);
    assert!(found.stderr.contains("1 of 1 lines") || found.stderr.is_empty(), "{}", found.stderr);
    let desk = Desk::new(&up.base, &token);
    desk.case_when("00001001", "it is in a case", |case| texts(case, "inbound").count() == 1).await;

    let again = home.command(&["reconcile", "--json"]).run(SOON).await.unwrap();
    assert_eq!(again.status.code(), Some(0), "{}{}", again.stdout, again.stderr);
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&report["asked_by"], &report["lines"][0]["brought_in"]), (&"person".into(), &0.into()));
    let last: Value = serde_json::from_str(&home.run(&["reconcile", "--last", "--json"]).await).unwrap();
    assert_eq!(last, report);
    let refused = home.command(&["reconcile", "--since", "tomorrow"]).run(SOON).await.unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("a time like 90m, 24h, 7d"), "{}", refused.stderr);
}
