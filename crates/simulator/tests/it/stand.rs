//! A running simulator on a free port, and what a client asks of it.

use std::net::TcpListener;
use std::sync::Once;
use std::time::Duration;

use casewire_domain::Address;
use casewire_simulator::{AccountSid, Config, HandsetDraft, Lifecycle, Line, Rule, Simulator};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "the-auth-token";
pub(crate) const LINE: &str = "+15550000001";
pub(crate) const PERSON: &str = "+12065550100";

pub(crate) struct Stand {
    pub(crate) simulator: Simulator,
    pub(crate) url: String,
    pub(crate) client: Client,
    shutdown: CancellationToken,
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What every test wants: a fixed seed and no waiting between statuses.
pub(crate) fn quick() -> Config {
    Config { seed: Some(1), lifecycle: Lifecycle::at_once(), ..Config::default() }
}

pub(crate) fn number(text: &str) -> Address {
    Address::from_stored(text)
}

pub(crate) fn account() -> AccountSid {
    ACCOUNT.parse().unwrap()
}

pub(crate) fn http() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    Client::builder().no_proxy().build().unwrap()
}

impl Stand {
    pub(crate) fn start(config: Config) -> Self {
        let client = http();
        let simulator = Simulator::new(config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn({
            let (simulator, shutdown) = (simulator.clone(), shutdown.clone());
            async move { simulator.serve(listener, shutdown).await.unwrap() }
        });
        Self { simulator, url, client, shutdown }
    }

    /// A stand whose one line delivers to `webhook_url`.
    pub(crate) async fn with_line(webhook_url: &str) -> Self {
        let stand = Self::start(quick());
        stand.set_line(webhook_url);
        stand.ready().await;
        stand
    }

    pub(crate) fn set_line(&self, webhook_url: &str) {
        let line = Line::new(number(LINE), account(), webhook_url);
        self.simulator.set_line(Line { auth_token: Some(TOKEN.into()), ..line });
    }

    /// Waits until it answers, and so until its background work runs.
    pub(crate) async fn ready(&self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let probe = HandsetDraft::new(number(PERSON), number("+15550009999"), "");
            let told = self.simulator.send_text(probe).await;
            let is_running = told.is_err_and(|error| error != casewire_simulator::TextError::NotRunning);
            if is_running && self.get("/simulator/pending").await.is_ok() {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "the simulator does not come up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn get(&self, path: &str) -> reqwest::Result<Response> {
        self.client.get(format!("{}{path}", self.url)).send().await
    }

    pub(crate) fn messages(&self) -> String {
        format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", self.url)
    }

    pub(crate) fn faults(&self, rules: Vec<Rule>) {
        self.simulator.set_faults(rules).unwrap();
    }

    /// Sends a form to the Messages resource with the right credentials.
    pub(crate) async fn post(&self, form: &[(&str, &str)]) -> reqwest::Result<Response> {
        self.client.post(self.messages()).basic_auth(ACCOUNT, Some(TOKEN)).form(form).send().await
    }

    /// Sends a text that must be taken; the resource.
    pub(crate) async fn send(&self, form: &[(&str, &str)]) -> Value {
        let answer = self.post(form).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json().await.unwrap()
    }

    /// Sends a text that must be refused; status and body.
    pub(crate) async fn refused(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let answer = self.post(form).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Gets a path of the REST API with the right credentials.
    pub(crate) async fn read(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.url)).basic_auth(ACCOUNT, Some(TOKEN));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn idle(&self) {
        assert!(self.simulator.wait_until_idle(PATIENCE).await, "{:?}", self.simulator.pending());
    }

    pub(crate) async fn text(&self, body: &str) -> casewire_simulator::SentText {
        let draft = HandsetDraft::new(number(PERSON), number(LINE), body);
        self.simulator.send_text(draft).await.unwrap()
    }

    /// The words on a handset.
    pub(crate) fn inbox(&self, handset: &str) -> Vec<String> {
        let inbox = self.simulator.inbox(&number(handset));
        inbox.iter().map(|text| text.body.reveal().to_owned()).collect()
    }
}
