//! Starting again on the same folder: after a polite end, and after kill -9 in the middle of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use casewire_testkit::process::Start;
use casewire_testkit::{Casewire, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::kit::{
    ACCOUNT, AUTH_TOKEN, Books, Desk, Dice, Home, Hook, Page, SOON, Up, bodies, casewire, message_sid,
    person, say, texts,
};

#[tokio::test]
async fn after_an_end_and_a_start_everything_is_where_it_was() {
    let home = Home::on_one_port();
    let up = home.start().await;
    let page = Page::open(&up.base, &up.link).await;
    page.text("+12065550100", "my heater is broken").await;
    page.arrived("+12065550100", "case number").await;
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    let delivered = |case: &Value| texts(case, "outbound").any(|text| text["status"] == "delivered");
    let before = desk.case_when("00001001", "the acknowledgement is delivered", delivered).await;
    let (first, said) = (up.link.clone(), up.process.stdout());
    up.stop().await;
    assert!(said.ends_with("Stop with Ctrl-C; nothing is lost.\n"), "{said}");
    let shown = home.run(&["case", "show", "00001001", "--json"]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap(),
        before,
        "cases can be read while it is stopped"
    );

    let up = home.start().await;
    assert_ne!(up.link, first, "each start has a link of its own");
    assert_eq!(desk.case("00001001").await, before, "the token holds");
    assert_eq!(page.get("/demo").send().await.unwrap().status(), StatusCode::OK, "the session holds");
    page.text("+12065550100", "it is cold").await;
    let case = desk.case_when("00001001", "the text joins", |case| bodies(case, "inbound").len() == 2).await;
    assert_eq!(bodies(&case, "outbound").len(), 1);
    page.text("+12065550101", "another person").await;
    desk.case_when("00001001", "nothing changes", |_| true).await;
    page.arrived("+12065550101", "case number").await;
    up.stop().await;
}

/// People who text; a list of cases has room for them.
const PEOPLE: u64 = 200;
/// How often `up` is killed, when `CASEWIRE_UP_KILLS` does not say otherwise.
const KILLS: usize = 20;
/// Clients that text at the same time.
const CLIENTS: u64 = 4;

/// `up` as it serves a real account, a Twilio that outlives it, and what both were asked for.
pub(super) struct Rig {
    pub(super) home: Home,
    _twilio: Casewire,
    pub(super) api: String,
    pub(super) hook: Hook,
    pub(super) desk: Desk,
    pub(super) books: Books,
    /// Every reply that was taken, by its text; the case it was written in.
    pub(super) replies: Mutex<BTreeMap<String, String>>,
    done: AtomicBool,
}

pub(super) fn up_of(home: &Home, api: &str) -> Start {
    home.up()
        .env("CASEWIRE_TWILIO__ACCOUNT_SID", ACCOUNT)
        .env("CASEWIRE_TWILIO__AUTH_TOKEN", AUTH_TOKEN)
        .env("CASEWIRE_TWILIO__NUMBER", "+15550001111")
        .env("CASEWIRE_TWILIO__API_BASE_URL", api)
        .env("CASEWIRE_SERVER__PUBLIC_URL", home.url())
        // What a killed process was sending is given up within the test.
        .env("CASEWIRE_SENDER__REQUEST_TIMEOUT", "1s")
        .env("CASEWIRE_SENDER__LEASE", "2s")
}

impl Rig {
    /// Starts everything; also the `up` to begin with.
    async fn start() -> (Arc<Self>, Up) {
        Self::start_with(|up| up).await
    }

    /// The same with other settings of `up`.
    pub(super) async fn start_with(settings: impl FnOnce(Start) -> Start) -> (Arc<Self>, Up) {
        let port = casewire_testkit::port::free().unwrap();
        let api = format!("http://127.0.0.1:{port}");
        let listen = format!("127.0.0.1:{port}");
        let twilio = casewire(&["simulator", "--listen", &listen, "--ops-listen", "127.0.0.1:0"]);
        let twilio = twilio.spawn().unwrap();
        twilio.wait_until_ready(&format!("{api}/simulator/faults"), SOON).await.unwrap();
        // Slow answers, so that there is always a request under way that a kill cuts off.
        let rules = json!({ "rules": [
            { "fault": { "delay_callbacks": { "min_ms": 50, "max_ms": 300 } } },
            { "fault": "callback_before_answer", "probability": 0.5 },
            { "fault": "drop_callbacks", "probability": 0.3 },
        ] });
        let client = casewire_testkit::http::client().unwrap();
        let set = client.put(format!("{api}/simulator/faults")).json(&rules).send().await.unwrap();
        assert_eq!(set.status(), StatusCode::OK);
        let home = Home::on_one_port();
        let up = Up::ready(settings(up_of(&home, &api)).spawn().unwrap()).await;
        let webhook = up.webhook();
        let line = webhook.rsplit_once('/').unwrap().1.split('#').next().unwrap();
        let hook = Hook::new(&home.url(), line, ACCOUNT, AUTH_TOKEN);
        hook.known().await;
        let desk = Desk::new(&home.url(), &home.run(&["token", "create", "--name", "agent"]).await);
        let rig = Self {
            home,
            _twilio: twilio,
            api,
            hook,
            desk,
            books: Books::default(),
            replies: Mutex::default(),
            done: AtomicBool::new(false),
        };
        (Arc::new(rig), up)
    }

    async fn again(&self) -> Up {
        Up::ready(up_of(&self.home, &self.api).spawn().unwrap()).await
    }

    /// Texts until the end; the words of each are its SID.
    pub(super) async fn customer(self: Arc<Self>, mut dice: Dice) {
        while !self.done.load(Ordering::Acquire) {
            let (sid, from) = (message_sid(), person(dice.below(PEOPLE)));
            for _ in 0..100 {
                let answer = self.books.send(&self.hook, &sid, &from, &sid).await;
                tokio::time::sleep(Duration::from_millis(30)).await;
                if answer == Some(200) {
                    break;
                }
            }
        }
    }

    /// Replies until the end, each with a key and as often as it takes.
    pub(super) async fn agent(self: Arc<Self>, mut dice: Dice) {
        while !self.done.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let numbers = self.numbers().await.unwrap_or_default();
            if numbers.is_empty() {
                continue;
            }
            let number = &numbers[usize::try_from(dice.below(numbers.len() as u64)).unwrap()];
            let body = format!("reply {}.", uuid::Uuid::now_v7());
            while self.desk.try_reply(number, &body, &body).await != Some(StatusCode::CREATED) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.replies.lock().await.insert(body, number.clone());
        }
    }

    /// The numbers of all cases, where anybody tells them.
    async fn numbers(&self) -> Option<Vec<String>> {
        let list: Value = self.desk.get("/cases?limit=200").send().await.ok()?.json().await.ok()?;
        let numbers = list["items"].as_array()?.iter().filter_map(|case| case["number"].as_str());
        Some(numbers.map(str::to_owned).collect())
    }

    /// All cases, whole.
    pub(super) async fn cases(&self) -> Vec<Value> {
        let mut cases = Vec::new();
        for case in self.desk.cases("?limit=200").await {
            cases.push(self.desk.case(case["number"].as_str().unwrap()).await);
        }
        cases
    }

    /// What Twilio accepted: how often each text to each person.
    pub(super) async fn accepted(&self) -> BTreeMap<(String, String), usize> {
        let client = casewire_testkit::http::client().unwrap();
        let ledger = client.get(format!("{}/simulator/ledger", self.api)).send().await.unwrap();
        let ledger: Value = ledger.json().await.unwrap();
        let mut accepted = BTreeMap::new();
        for send in ledger["sends"].as_array().unwrap() {
            let (to, body) = (send["to"].as_str().unwrap(), send["body"].as_str().unwrap());
            *accepted.entry((to.to_owned(), body.to_owned())).or_default() += 1;
        }
        accepted
    }
}

/// Lets people text and an agent answer while `ends` end one `up` after the other; then compares all books.
async fn no_end_loses_or_repeats_anything(ends: usize, end: impl AsyncFn(Up)) {
    let (rig, mut up) = Rig::start().await;
    let seed = seed();
    say(&format!("{ends} ends of `up`, seed {seed}"));
    let dice = |who: u64| Dice::new(seed.wrapping_add(who));
    let mut crowd: Vec<_> =
        (1..=CLIENTS).map(|client| tokio::spawn(rig.clone().customer(dice(client)))).collect();
    crowd.push(tokio::spawn(rig.clone().agent(dice(0))));
    let mut moments = dice(CLIENTS + 1);
    for _ in 0..ends {
        tokio::time::sleep(Duration::from_millis(200 + moments.below(500))).await;
        end(up).await;
        up = rig.again().await;
    }
    eventually("there was a load", SOON, async || {
        rig.books.taken() > 100 && !rig.replies.lock().await.is_empty()
    })
    .await
    .unwrap();
    rig.done.store(true, Ordering::Release);
    for one in crowd {
        one.await.unwrap();
    }
    let taken = rig.books.taken();
    eventually(
        "every text that was answered 200 is in a case, and none waits to be sent",
        SOON,
        async || {
            let cases = rig.cases().await;
            let placed: usize = cases.iter().map(|case| bodies(case, "inbound").len()).sum();
            placed >= taken && cases.iter().all(is_quiet)
        },
    )
    .await
    .unwrap();
    check(&rig).await;
    up.stop().await;
}

/// `CASEWIRE_SEED`, or any: what runs at the same time is never the same twice, but who texts and when they end is.
fn seed() -> u64 {
    match std::env::var("CASEWIRE_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => uuid::Uuid::now_v7().as_u64_pair().1,
    }
}

/// Whether every text of ours was accepted, or held, or waits behind one that is held.
fn is_quiet(case: &Value) -> bool {
    let held = texts(case, "outbound").any(|text| text["status"] == "uncertain");
    let waits = |text: &Value| text["status"] == "queued" || text["status"] == "sending";
    held || texts(case, "outbound")
        .all(|text| !waits(text) || events(case, "send_accepted", text).count() > 0)
}

/// What happened to one text.
pub(super) fn events<'a>(case: &'a Value, kind: &'a str, text: &'a Value) -> impl Iterator<Item = &'a Value> {
    let events = case["events"].as_array().unwrap().iter();
    events.filter(move |event| event["kind"] == kind && event["message"] == text["id"])
}

async fn check(rig: &Rig) {
    let (cases, accepted) = (rig.cases().await, rig.accepted().await);
    let people: BTreeSet<_> = cases.iter().map(|case| case["contact"]["address"].to_string()).collect();
    assert_eq!(people.len(), cases.len(), "one case for each person");
    for case in &cases {
        let acknowledgements = texts(case, "outbound").filter(|text| text["automatic"] == true).count();
        assert_eq!(acknowledgements, 1, "one for the text that opened it: {case}");
        check_sent(case, &accepted);
    }
    check_received(rig, &cases);
    let replies = rig.replies.lock().await;
    for (body, number) in replies.iter() {
        let case = cases.iter().find(|case| case["number"] == number.as_str()).unwrap();
        assert_eq!(bodies(case, "outbound").iter().filter(|it| *it == body).count(), 1, "{body} in {number}");
    }
    let held = |case: &Value| texts(case, "outbound").filter(|text| text["status"] == "uncertain").count();
    say(&format!(
        "{} texts taken of {}, in {} cases, each acknowledged once; {} replies; {} held",
        rig.books.taken(),
        rig.books.entries().len(),
        cases.len(),
        replies.len(),
        cases.iter().map(held).sum::<usize>()
    ));
}

/// No text of ours was accepted twice, and what we think was accepted was.
fn check_sent(case: &Value, accepted: &BTreeMap<(String, String), usize>) {
    let to = case["contact"]["address"].as_str().unwrap();
    for text in texts(case, "outbound") {
        let body = text["body"].as_str().unwrap();
        let sent = accepted.get(&(to.to_owned(), body.to_owned())).copied().unwrap_or(0);
        assert!(sent <= 1, "it was sent twice: {text}");
        let known = events(case, "send_accepted", text).count();
        assert!(known <= sent, "{text}");
    }
}

/// Every text that was answered 200 is in one case, and none is in two.
fn check_received(rig: &Rig, cases: &[Value]) {
    let mut placed = BTreeMap::<&str, usize>::new();
    for body in cases.iter().flat_map(|case| bodies(case, "inbound")) {
        *placed.entry(body).or_default() += 1;
    }
    let entries = rig.books.entries();
    for (sid, entry) in &entries {
        let times = placed.get(sid.as_str()).copied().unwrap_or(0);
        assert!(
            times == 1 || (times == 0 && entry.answer != Some(200)),
            "{sid} is there {times} times: {entry:?}"
        );
    }
    assert!(placed.keys().all(|body| entries.contains_key(*body)), "nobody wrote what is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_a_text_or_sends_anything_twice() {
    let kills = std::env::var("CASEWIRE_UP_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    no_end_loses_or_repeats_anything(kills, async |up| up.process.kill().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polite_end_under_load_finishes_what_is_in_hand() {
    no_end_loses_or_repeats_anything(4, async |up| up.stop().await).await;
}
