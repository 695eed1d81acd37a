//! `casewire doctor` beside `up`.

use casewire_testkit::{Casewire, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::restart::up_of;
use crate::kit::{ACCOUNT, AUTH_TOKEN, Home, SOON, Up, casewire};

/// What doctor says in JSON, and its exit status.
async fn doctor(home: &Home, api: &str, args: &[&str]) -> (Vec<Value>, i32) {
    let command = home.command(&[&["doctor", "--json"], args].concat());
    let said = as_up(command, home, api).run(SOON).await.unwrap();
    let findings: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    for secret in [AUTH_TOKEN, "5550001111", "5005550006"] {
        assert!(!said.stdout.contains(secret), "{}", said.stdout);
    }
    (findings, said.status.code().unwrap())
}

/// With the settings that [`up_of`] gives to `up`.
fn as_up(
    command: casewire_testkit::process::Start,
    home: &Home,
    api: &str,
) -> casewire_testkit::process::Start {
    if api.is_empty() {
        return command;
    }
    command
        .env("CASEWIRE_TWILIO__ACCOUNT_SID", ACCOUNT)
        .env("CASEWIRE_TWILIO__AUTH_TOKEN", AUTH_TOKEN)
        .env("CASEWIRE_TWILIO__NUMBER", "+15550001111")
        .env("CASEWIRE_TWILIO__API_BASE_URL", api)
        .env("CASEWIRE_SERVER__PUBLIC_URL", home.url())
}

fn finding<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|it| it["check"].as_str().unwrap().starts_with(check));
    assert!(found.is_some(), "{check}: {findings:?}");
    found.unwrap()
}

#[tokio::test]
async fn a_healthy_up_is_all_well() {
    let home = Home::new();
    let (findings, status) = doctor(&home, "", &[]).await;
    assert_eq!((status, finding(&findings, "database")["state"].as_str()), (1, Some("wrong")));
    let up = home.start().await;
    eventually("everything is well", SOON, async || doctor(&home, "", &[]).await.1 == 0).await.unwrap();
    let (findings, _) = doctor(&home, "", &[]).await;
    for check in ["configuration", "database", "keys", "up", "account AC", "line demo", "clock of Twilio"] {
        assert_eq!(finding(&findings, check)["state"], "ok", "{findings:?}");
    }
    assert!(findings.iter().all(|it| it["state"] == "ok" || it["state"] == "skipped"), "{findings:?}");
    let said = home.run(&["doctor"]).await;
    assert!(said.contains("CHECK") && said.contains("line demo") && !said.contains("mends"), "{said}");
    up.stop().await;
    let (findings, status) = doctor(&home, "", &[]).await;
    assert_eq!((status, finding(&findings, "up")["state"].as_str()), (0, Some("skipped")), "{findings:?}");
}

/// A Twilio that lets its account in with its own token alone.
struct Strict {
    _process: Casewire,
    api: String,
    client: reqwest::Client,
}

impl Strict {
    async fn start() -> Self {
        let port = casewire_testkit::port::free().unwrap();
        let (listen, api) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
        let process = casewire(&["simulator", "--listen", &listen, "--ops-listen", "127.0.0.1:0"]);
        let process = process.spawn().unwrap();
        process.wait_until_ready(&format!("{api}/simulator/faults"), SOON).await.unwrap();
        let strict = Self { _process: process, api, client: casewire_testkit::http::client().unwrap() };
        strict.token(AUTH_TOKEN).await;
        strict
    }

    async fn token(&self, token: &str) {
        let account = self.client.put(format!("{}/simulator/accounts/{ACCOUNT}", self.api));
        let set = account.json(&json!({ "auth_token": token })).send().await.unwrap();
        assert_eq!(set.status(), StatusCode::NO_CONTENT);
    }

    async fn line(&self, change: Value) {
        let mut line = json!({
            "number": "+15550001111", "account_sid": ACCOUNT, "webhook_url": "http://old.example/sms", "method": "GET",
        });
        line.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let set = self.client.post(format!("{}/simulator/lines", self.api)).json(&line).send().await.unwrap();
        assert_eq!(set.status(), StatusCode::OK);
    }

    async fn shown(&self) -> Value {
        let lines = self.client.get(format!("{}/simulator/lines", self.api)).send().await.unwrap();
        lines.json::<Value>().await.unwrap()["lines"][0].clone()
    }
}

#[tokio::test]
async fn what_is_wrong_at_twilio_is_named_and_what_can_be_set_is_mended() {
    let twilio = Strict::start().await;
    let home = Home::on_one_port();
    let up = Up::ready(up_of(&home, &twilio.api).spawn().unwrap()).await;
    let asked = async |args: &[&str]| {
        let (findings, status) = doctor(&home, &twilio.api, args).await;
        let line = finding(&findings, "line").clone();
        (line, status, findings)
    };

    let (line, status, findings) = asked(&[]).await;
    assert_eq!((status, finding(&findings, "account")["state"].as_str()), (1, Some("ok")), "{findings:?}");
    assert!(line["found"].as_str().unwrap().contains("no such number"), "{line}");

    twilio.line(json!({})).await;
    let (line, status, _) = asked(&[]).await;
    assert_eq!((status, line["state"].as_str()), (1, Some("wrong")));
    let found = line["found"].as_str().unwrap();
    assert!(found.contains("http://old.example/sms, not here") && found.contains("comes as GET"), "{found}");
    assert!(line["mend"].as_str().unwrap().ends_with(" doctor --fix"), "{line}");
    assert_eq!(twilio.shown().await["webhook_url"], "http://old.example/sms", "nothing is changed unasked");

    let (line, status, _) = asked(&["--fix"]).await;
    assert_eq!((status, line["state"].as_str()), (0, Some("fixed")), "{line}");
    assert!(
        line["found"].as_str().unwrap().contains("It was: Twilio delivers its texts to http://old"),
        "{line}"
    );
    let shown = twilio.shown().await;
    assert_eq!(
        (shown["webhook_url"].as_str(), shown["method"].as_str()),
        (Some(&*up.webhook()), Some("POST"))
    );
    assert_eq!(asked(&["--fix"]).await.0["state"], "ok", "once mended it is well");

    let bare = up.webhook().split('#').next().unwrap().to_owned();
    twilio
        .line(json!({ "webhook_url": bare, "method": "POST", "fallback_url": "https://other.example/x" }))
        .await;
    let (line, status, _) = asked(&[]).await;
    assert_eq!((status, line["state"].as_str()), (0, Some("warn")), "{line}");
    let found = line["found"].as_str().unwrap();
    assert!(
        found.contains("after #") && found.contains("its fallback is https://other.example/x"),
        "{found}"
    );

    twilio
        .line(json!({ "webhook_url": up.webhook(), "method": "POST", "status_callback": up.webhook() }))
        .await;
    let (line, status, _) = asked(&["--fix"]).await;
    assert_eq!((status, line["state"].as_str()), (0, Some("warn")), "{line}");
    assert!(line["found"].as_str().unwrap().contains("its status callback"), "{line}");
    assert!(line["mend"].as_str().unwrap().contains("empty the status callback"), "{line}");

    twilio.token("another").await;
    let (line, status, findings) = asked(&[]).await;
    let account = finding(&findings, "account");
    assert_eq!(
        (status, account["state"].as_str(), line["state"].as_str()),
        (1, Some("wrong"), Some("skipped"))
    );
    assert!(account["mend"].as_str().unwrap().contains("account rotate-token"), "{account}");
    up.stop().await;
}

#[tokio::test]
async fn a_wrong_key_and_wrong_settings_are_named() {
    let home = Home::new();
    home.start().await.stop().await;
    let key = home.write("other.key", "Y2FzZXdpcmUtdGVzdC1tYXN0ZXIta2V5LTMyLWJ5dGU=");
    let said = home
        .command(&["doctor", "--json"])
        .env("CASEWIRE_KEYS__MASTER_KEY_FILE", key)
        .run(SOON)
        .await
        .unwrap();
    let findings: Vec<Value> = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(1));
    let keys = finding(&findings, "keys");
    assert!(keys["found"].as_str().unwrap().contains("does not belong to this database"), "{keys}");
    let wrong = home.command(&["doctor"]).env("CASEWIRE_SERVER__LISTEN", "nowhere").run(SOON).await.unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        wrong.stdout.contains("CASEWIRE_SERVER__LISTEN") && wrong.stdout.contains("check-config"),
        "{}",
        wrong.stdout
    );
}
