//! A desk of its own for every test: a database with one line, a server on a free port, a token.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use casewire_desk::{Config, Demo, DemoLine, Deps, token};
use casewire_domain::command::{Command, EventFacts};
use casewire_domain::decide::Outcome;
use casewire_domain::directory::Method;
use casewire_domain::line::{DEFAULT_ON_OPEN, DEFAULT_ON_REOPEN, Guard};
use casewire_domain::seal::Sealed;
use casewire_domain::{Address, DedupeId, EventKind, InboundText, Location, Region, Text};
use casewire_runtime::config::Server;
use casewire_runtime::ops::Metrics;
use casewire_runtime::shutdown::Shutdown;
use casewire_store::{LineSettings, NewLine, Store, TokenKind};
use casewire_testkit::{Postgres, http};
use chrono::{DateTime, Utc};
use reqwest::{Method as Verb, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The number of the demo line.
pub(crate) const LINE: &str = "+15005550006";
/// A customer.
pub(crate) const ANNA: &str = "+12065550100";
/// Another.
pub(crate) const BEN: &str = "+12065550199";

const ACCOUNT: &str = "AC00000000000000000000000000000001";

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) http: reqwest::Client,
    token: String,
    shutdown: Shutdown,
    /// What the desk counts.
    pub(crate) metrics: Metrics,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = casewire_store::Config::sqlite(&folder.path().join("casewire.sqlite"));
        Self::on(database, folder, change).await
    }

    pub(crate) async fn on_postgres() -> Self {
        let url = Postgres::shared().await.unwrap().database().await.unwrap();
        Self::on(casewire_store::Config::new(url), tempfile::tempdir().unwrap(), |_| {}).await
    }

    async fn on(database: casewire_store::Config, folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let store = Store::open(&database).await.unwrap();
        store.migrate().await.unwrap();
        add_line(&store).await;
        let mut config = Config { demo: Some(demo()), ..Config::default() };
        change(&mut config);
        let (shutdown, metrics) = (Shutdown::new(), Metrics::default());
        let desk = casewire_desk::build(
            config,
            Deps { store: store.clone(), shutdown: shutdown.clone(), queued: None, metrics: metrics.clone() },
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        shutdown.spawn_critical("desk", async move { desk.run(listener, &Server::default()).await });
        let token = new_token(&store, "gwen").await;
        Self { url, store, http: http::client().unwrap(), token, shutdown, metrics, _folder: folder }
    }

    /// The end of the process.
    pub(crate) fn shut_down(&self) {
        self.shutdown.request();
    }

    /// A text from a customer, as the worker would hand it over.
    pub(crate) async fn text(&self, from: &str, body: &str) -> Outcome {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let sid = format!("SM{:032x}", NEXT.fetch_add(1, Ordering::Relaxed));
        let facts = EventFacts {
            dedupe_id: DedupeId::new(format!("i:{ACCOUNT}:{sid}")).unwrap(),
            kind: EventKind::Message,
            line: "demo".into(),
            received_at: Utc::now(),
            raw: Vec::new(),
            trace: None,
        };
        let text = InboundText {
            provider_sid: sid,
            from: from.into(),
            to: LINE.into(),
            body: Text::new(body),
            media: Vec::new(),
            location: Location {
                city: Some("SEATTLE".into()),
                state: Some("WA".into()),
                ..Location::default()
            },
            opt_out: None,
        };
        self.store.handle_one(Command::Text(facts.into(), text)).await.unwrap()
    }

    /// The number of the case a first text opens.
    pub(crate) async fn case_of(&self, from: &str, body: &str) -> String {
        match self.text(from, body).await {
            Outcome::Placed { case, .. } => case.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// A request without any proof of who sends it.
    pub(crate) fn bare(&self, verb: Verb, path: &str) -> RequestBuilder {
        self.http.request(verb, format!("{}{path}", self.url))
    }

    /// A request with the token.
    pub(crate) fn request(&self, verb: Verb, path: &str) -> RequestBuilder {
        self.bare(verb, path).bearer_auth(&self.token)
    }

    /// What a GET with the token answers.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.request(Verb::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    pub(crate) async fn reply(&self, case: &str, body: &str, key: Option<&str>) -> Response {
        let mut request =
            self.request(Verb::POST, &format!("/api/v1/cases/{case}/replies")).json(&json!({ "body": body }));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn set_status(&self, case: &str, status: &str) -> Response {
        let request = self.request(Verb::PATCH, &format!("/api/v1/cases/{case}"));
        request.json(&json!({ "status": status })).send().await.unwrap()
    }

    /// A one-time link's secret.
    pub(crate) async fn new_link(&self, expires_at: DateTime<Utc>) -> String {
        let link = token::bare().unwrap().expose_secret().to_owned();
        self.store.add_token(TokenKind::Link, "demo".into(), &link, Some(expires_at)).await.unwrap();
        link
    }

    /// A browser's cookie, from a link that was followed.
    pub(crate) async fn sign_in(&self) -> String {
        let link = self.new_link(Utc::now() + chrono::TimeDelta::minutes(5)).await;
        let answer = self.bare(Verb::GET, &format!("/demo?link={link}")).send().await.unwrap();
        cookie(&answer).unwrap()
    }
}

/// The cookie an answer sets, as a browser would send it back.
pub(crate) fn cookie(answer: &Response) -> Option<String> {
    let set = answer.headers().get("set-cookie")?.to_str().unwrap();
    Some(set.split(';').next().unwrap().to_owned())
}

/// The body of a problem, after a look at its form.
pub(crate) async fn problem(answer: Response, status: u16) -> Value {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status);
    for field in ["type", "title", "detail"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
    }
    body
}

pub(crate) async fn new_token(store: &Store, name: &str) -> String {
    let token = token::api_token().unwrap().expose_secret().to_owned();
    store.add_token(TokenKind::Api, name.into(), &token, None).await.unwrap();
    token
}

fn demo() -> Demo {
    let line = DemoLine {
        number: Address::from_stored(LINE),
        webhook_url: "http://127.0.0.1:8080/inbound/demo".into(),
    };
    Demo { handset: true, line }
}

async fn add_line(store: &Store) {
    let seal = |_| Sealed::from_stored("sealed");
    store.put_account_token(ACCOUNT.into(), seal).await.unwrap();
    let settings = LineSettings {
        webhook_id: "demo".into(),
        address: Address::from_stored(LINE),
        region: Region::US,
        method: Method::Post,
        on_open: DEFAULT_ON_OPEN.into(),
        on_reopen: DEFAULT_ON_REOPEN.into(),
        on_update: String::new(),
        guard: Guard::default(),
        per_second: 10,
        when_uncertain: Default::default(),
    };
    store.add_line(NewLine { settings, account_sid: ACCOUNT.into() }).await.unwrap();
}
