//! Twilio's side of a webhook: signed, and as raw as a story wants it.

use std::time::Duration;

use casewire_domain::directory::Algorithm;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature::{HEADER, sign};
use reqwest::{Client, Response};
use secrecy::SecretString;

/// A line's webhooks, as its provider calls them.
#[derive(Clone)]
pub(crate) struct Hook {
    /// The public URL signatures cover.
    pub(crate) public_url: String,
    /// Where requests really go: the public URL, unless a story puts something in between.
    pub(crate) address: String,
    pub(crate) line: String,
    pub(crate) account_sid: String,
    pub(crate) token: SecretString,
    pub(crate) client: Client,
}

impl Hook {
    pub(crate) fn new(public_url: &str, line: &str, account_sid: &str, token: &str) -> Self {
        casewire_testkit::http::install_tls();
        Self {
            public_url: public_url.to_owned(),
            address: public_url.to_owned(),
            line: line.to_owned(),
            account_sid: account_sid.to_owned(),
            token: token.into(),
            client: casewire_testkit::http::client().unwrap(),
        }
    }

    /// A text with the parameters every inbound message has.
    pub(crate) async fn text(&self, sid: &str, from: &str, body: &str) -> reqwest::Result<Response> {
        self.post(&format!("/inbound/{}", self.line), &self.form(sid, from, body)).await
    }

    /// What a text says.
    pub(crate) fn form(&self, sid: &str, from: &str, body: &str) -> Parameters {
        let form = [
            ("MessageSid", sid),
            ("SmsSid", sid),
            ("SmsMessageSid", sid),
            ("AccountSid", &self.account_sid),
            ("From", from),
            ("To", "+15550001111"),
            ("Body", body),
            ("NumMedia", "0"),
            ("NumSegments", "1"),
            ("SmsStatus", "received"),
            ("ApiVersion", "2010-04-01"),
            ("FromCity", "SEATTLE"),
            ("FromState", "WA"),
            ("FromCountry", "US"),
        ];
        form.into_iter().collect()
    }

    /// A delivery callback on this path below the line's.
    pub(crate) async fn status(&self, path: &str, sid: &str, status: &str) -> reqwest::Result<Response> {
        let form = [
            ("MessageSid", sid),
            ("SmsSid", sid),
            ("AccountSid", &self.account_sid),
            ("MessageStatus", status),
            ("SmsStatus", status),
            ("To", "+12065550100"),
            ("From", "+15550001111"),
            ("ApiVersion", "2010-04-01"),
        ];
        self.post(path, &form.into_iter().collect()).await
    }

    /// Waits until the line's webhooks are taken: with a callback for a text that nobody knows, which changes nothing.
    pub(crate) async fn known(&self) {
        let path = format!("/inbound/{}/status", self.line);
        let sid = message_sid();
        casewire_testkit::eventually("the line is known", Duration::from_secs(10), async || {
            self.status(&path, &sid, "sent").await.is_ok_and(|answer| answer.status() == 204)
        })
        .await
        .unwrap();
    }

    /// Any form, signed, at any path.
    pub(crate) async fn post(&self, path: &str, form: &Parameters) -> reqwest::Result<Response> {
        let signature = sign(&format!("{}{path}", self.public_url), form, &self.token, Algorithm::HmacSha1);
        self.client
            .post(format!("{}{path}", self.address))
            .header(HEADER, signature)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.encode())
            .send()
            .await
    }
}

/// A fresh message SID.
pub(crate) fn message_sid() -> String {
    format!("SM{}", uuid::Uuid::now_v7().simple())
}
