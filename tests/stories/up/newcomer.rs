//! From an empty folder to an answered customer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use casewire_testkit::eventually;
use casewire_testkit::process::Start;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::kit::{
    ACCOUNT, AUTH_TOKEN, Desk, Home, Hook, Page, SOON, Up, bodies, casewire, message_sid, say, sentence,
    texts,
};

const CUSTOMER: &str = "+12065550100";
const ANSWER: &str = "We are on our way.";

/// What the issue promises of a release build; a debug build on a busy machine gets more.
const TO_BANNER: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 2 });
/// From an empty folder to the acknowledgement on the handset, delivered.
const TO_DELIVERED: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_newcomer_texts_is_acknowledged_answered_and_heard_again() {
    let home = Home::new();
    let begun = Instant::now();
    let up = home.start().await;
    let to_banner = begun.elapsed();

    let page = Page::open(&up.base, &up.link).await;
    let shown = page.get("/demo").send().await.unwrap();
    assert_eq!(shown.status(), StatusCode::OK);
    assert_eq!(shown.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let token = home.run(&["token", "create", "--name", "laptop"]).await;
    let newcomer = Newcomer { desk: Desk::new(&up.base, &token), page };
    let first = newcomer.opens_a_case().await;
    let to_delivered = begun.elapsed();
    newcomer.joins_it(&first).await;
    newcomer.is_answered_once(&first).await;
    newcomer.is_heard_after_it_was_closed(&first).await;
    newcomer.stops(&first).await;

    say(&format!(
        "banner after {to_banner:?}, acknowledgement delivered after {to_delivered:?}, all of it in {:?}",
        begun.elapsed()
    ));
    assert!(to_banner < TO_BANNER, "the banner took {to_banner:?}");
    assert!(to_delivered < TO_DELIVERED, "from nothing to delivered took {to_delivered:?}");
    up.stop().await;
}

/// Who has just started it: the handset on the demo page, and the desk.
struct Newcomer {
    page: Page,
    desk: Desk,
}

impl Newcomer {
    /// The first text opens a case, and its number, which is given back, comes to the handset.
    async fn opens_a_case(&self) -> String {
        let news = self.page.follow().await;
        let sent = self.page.text(CUSTOMER, "my heater is broken").await;
        assert_eq!((&sent["taken"], &sent["webhooks"][0]["status"]), (&json!(true), &json!(200)));
        let acknowledged = self.page.arrived(CUSTOMER, "case number").await;
        let cases = self.desk.cases("").await;
        let first = cases[0]["number"].as_str().unwrap().to_owned();
        assert_eq!((cases.len(), first.as_str()), (1, "00001001"));
        let words = format!("Thanks, we have your message. Your case number is {first}.");
        assert_eq!(acknowledged["body"], words);
        assert_eq!(news.of("case_opened").await["case"], first);
        let case = self.desk.case_when(&first, "the acknowledgement is delivered", is_delivered).await;
        assert_eq!(case["status"], "open");
        assert_eq!(news.of("delivery_changed").await["case"], first);
        first
    }

    /// The second joins it, unanswered.
    async fn joins_it(&self, first: &str) {
        self.page.text(CUSTOMER, "it is cold in here").await;
        let case = self.desk.case_when(first, "two texts", |case| bodies(case, "inbound").len() == 2).await;
        assert_eq!(bodies(&case, "inbound"), ["my heater is broken", "it is cold in here"]);
        assert_eq!(case["messages"][2]["why"]["rule"], "joined_current");
        assert_eq!(bodies(&case, "outbound").len(), 1);
    }

    /// A reply that is asked for twice arrives once.
    async fn is_answered_once(&self, first: &str) {
        let reply = self.desk.reply(first, ANSWER, "key-1").await;
        assert_eq!(reply.0, StatusCode::CREATED);
        assert_eq!(self.desk.reply(first, ANSWER, "key-1").await, reply);
        self.page.arrived(CUSTOMER, ANSWER).await;
        let delivered = |case: &serde_json::Value| {
            texts(case, "outbound").filter(|text| text["status"] == "delivered").count() == 2
        };
        self.desk.case_when(first, "the reply is delivered", delivered).await;
    }

    /// Closed, it is joined no more; named, it is opened again.
    async fn is_heard_after_it_was_closed(&self, first: &str) {
        assert_eq!(self.desk.set_status(first, "closed").await["status"], "closed");
        self.page.text(CUSTOMER, "now the tap drips").await;
        self.page.arrived(CUSTOMER, "00001002").await;
        self.page.text(CUSTOMER, &format!("about {first}: it broke again")).await;
        let case = self.desk.case_when(first, "it is open again", |case| case["status"] == "open").await;
        assert_eq!(bodies(&case, "inbound")[2], format!("about {first}: it broke again"));
        assert_eq!(bodies(&self.desk.case("00001002").await, "inbound"), ["now the tap drips"]);
    }

    /// Twilio answers STOP by itself, and nothing is sent after it.
    async fn stops(&self, first: &str) {
        let stop = self.page.text(CUSTOMER, "STOP").await;
        assert_eq!(stop["keyword"], "stop");
        assert_eq!(self.page.arrived(CUSTOMER, "unsubscribed").await["origin"], "keyword");
        self.desk.case_when(first, "the contact has opted out", |case| case["opted_out"] == true).await;
        let (status, problem) = self.desk.reply(first, "Still there?", "key-2").await;
        assert_eq!((status, &problem["status"]), (StatusCode::CONFLICT, &json!(409)));
        assert_eq!(self.desk.cases("").await.len(), 2);
        let inbox = self.page.inbox(CUSTOMER).await;
        assert_eq!(inbox.iter().filter(|text| text["body"] == ANSWER).count(), 1);
    }
}

fn is_delivered(case: &serde_json::Value) -> bool {
    texts(case, "outbound").any(|text| text["automatic"] == true && text["status"] == "delivered")
}

#[tokio::test]
async fn the_command_that_is_printed_to_try_next_can_be_pasted() {
    let home = Home::new();
    let up = home.start().await;
    let said = up.process.stdout();
    let line = said.lines().find(|line| line.contains("simulator text")).unwrap().trim();
    assert!(line.starts_with(env!("CARGO_BIN_EXE_casewire")), "{line}");
    let pasted = std::process::Command::new("/bin/sh").args(["-c", line]).output().unwrap();
    let printed = String::from_utf8(pasted.stdout).unwrap();
    assert!(printed.contains("the webhook answered 200"), "{printed}");
    eventually("the case is listed", Duration::from_secs(10), async || {
        let listed = home.run(&["case", "list"]).await;
        listed.contains("00001001") && listed.contains(CUSTOMER)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_link_opens_one_session_and_a_stranger_none() {
    let home = Home::new();
    let up = home.start().await;
    let client = casewire_testkit::http::client().unwrap();
    let status = async |url: String| client.get(url).send().await.unwrap().status();
    let sends = "2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
    let (open, guessed) =
        (format!("/simulator/twilio/{sends}"), format!("/simulator/twilio/{:032x}/{sends}", 1));
    let handset = "/simulator/handsets/+12065550100/messages";
    for path in ["/demo", "/api/v1/cases", "/simulator/ledger", handset, &open, &guessed] {
        assert_eq!(status(format!("{}{path}", up.base)).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in [open, guessed] {
        let send = client.post(format!("{}{path}", up.base)).basic_auth(&sends[20..54], Some("anything"));
        let send = send.form(&[("To", CUSTOMER), ("From", "+15005550006"), ("Body", "hello")]);
        assert_eq!(send.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    Page::open(&up.base, &up.link).await;
    assert_eq!(status(up.link.clone()).await, StatusCode::FORBIDDEN, "the link is used up");
}

#[tokio::test]
async fn the_fourth_automatic_reply_in_ten_minutes_is_held_back_and_the_case_says_why() {
    let home = Home::new();
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    for number in ["00001001", "00001002", "00001003", "00001004"] {
        page.text(CUSTOMER, "hello?").await;
        eventually("the case is there", Duration::from_secs(10), async || {
            desk.cases("").await.iter().any(|case| case["number"] == number)
        })
        .await
        .unwrap();
        desk.set_status(number, "closed").await;
    }
    let case = desk.case("00001004").await;
    assert_eq!(bodies(&case, "outbound").len(), 0);
    let held = case["events"].as_array().unwrap().iter();
    let held: Vec<_> = held.filter(|event| event["kind"] == "acknowledgement_withheld").collect();
    assert_eq!(held[0]["words"], "Automatic reply held back");
    assert!(held[0]["reason"].as_str().unwrap().contains("ten minutes"), "{held:?}");
    eventually("three replies arrive", Duration::from_secs(10), async || {
        page.inbox(CUSTOMER).await.len() == 3
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_start_says_nothing_but_where_everything_is() {
    let home = Home::new();
    let up = home.start().await;
    assert_eq!(up.process.stderr(), "", "nothing went wrong, so nothing is logged");
    let version = casewire(&["--version"]).run_well(Duration::from_secs(10)).await.unwrap();
    assert!(up.process.stdout().starts_with(&format!("{} is up", version.trim())));
}

#[tokio::test]
async fn with_an_account_the_same_command_serves_a_number_of_ones_own_and_no_simulator() {
    let home = Home::new();
    let account = |start: Start| {
        start
            .env("CASEWIRE_TWILIO__ACCOUNT_SID", ACCOUNT)
            .env("CASEWIRE_TWILIO__AUTH_TOKEN", AUTH_TOKEN)
            .env("CASEWIRE_TWILIO__NUMBER", "+15550001111")
            // Nobody is there: nothing of this may leave the machine.
            .env("CASEWIRE_TWILIO__API_BASE_URL", "http://127.0.0.1:9")
    };
    let said = sentence(account(home.up()).run(SOON).await.unwrap());
    assert!(said.contains("CASEWIRE_SERVER__PUBLIC_URL"), "{said}");

    let public = "https://sms.example.org";
    let up = account(home.up()).env("CASEWIRE_SERVER__PUBLIC_URL", public);
    let up = Up::ready(up.spawn().unwrap()).await;
    let said = up.process.stdout();
    assert!(said.contains("+15550001111\n") && said.contains("A message comes in"), "{said}");
    assert!(!said.contains("imulat"), "{said}");
    let webhook = up.webhook();
    let line = webhook.strip_prefix(&format!("{public}/inbound/")).unwrap().split('#').next().unwrap();
    assert!(line.len() == 24, "nobody guesses it: {line}");

    // The signature covers the public URL, wherever the request comes in.
    let hook = Hook { address: up.base.clone(), ..Hook::new(public, line, ACCOUNT, AUTH_TOKEN) };
    let direct = Hook { public_url: up.base.clone(), ..hook.clone() };
    eventually("the line is known", SOON, async || {
        hook.text(&message_sid(), CUSTOMER, "hello").await.unwrap().status() == StatusCode::OK
    })
    .await
    .unwrap();
    let answer = direct.text(&message_sid(), CUSTOMER, "hello").await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let page = Page::open(&up.base, &up.link).await;
    let ledger = page.get("/simulator/ledger").send().await.unwrap();
    assert_eq!(ledger.status(), StatusCode::NOT_FOUND);
    let shown: serde_json::Value = page.get("/demo/config.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["handset"], false);
    let added = home.command(&["line", "add", "--number", "+15550002222", "--account-sid", ACCOUNT]);
    let added = added.run_well(SOON).await.unwrap();
    assert!(added.contains(&format!("webhook: {public}/inbound/")), "{added}");
    assert!(added.contains("Enter it at Twilio") && !added.contains("imulat"), "{added}");
    up.stop().await;

    // Started once more without the account, it does not let a simulator swallow what real people are sent.
    let said = sentence(home.up().run(SOON).await.unwrap());
    assert!(
        said.contains("served a real account") && said.contains("CASEWIRE_TWILIO__ACCOUNT_SID"),
        "{said}"
    );
}

#[tokio::test]
async fn what_people_write_is_readable_for_its_owner_alone() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    fs::set_permissions(home.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    page.text(CUSTOMER, "my door code is 4711").await;
    page.arrived(CUSTOMER, "case number").await;
    let mut seen = 0;
    for file in fs::read_dir(home.data()).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode();
        assert!(mode & 0o077 == 0 || file.file_name() == "lock", "{:?} {mode:o}", file.file_name());
        seen += 1;
    }
    assert!(seen >= 6, "both databases with what is beside them, the key, and where it runs");
}
