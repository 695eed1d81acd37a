//! A browser that opened the one-time link: the handset, and what happens live.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use casewire_testkit::eventually_some;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The demo page's session.
pub(crate) struct Page {
    base: String,
    cookie: String,
    client: Client,
}

impl Page {
    /// Opens the one-time link, as a browser does.
    pub(crate) async fn open(base: &str, link: &str) -> Self {
        let client = casewire_testkit::http::client().unwrap();
        let answer = client.get(link).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()[LOCATION], "/demo");
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { base: base.to_owned(), cookie, client }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie)
    }

    /// A PUT as the page's own scripts send it.
    pub(crate) fn put(&self, path: &str) -> RequestBuilder {
        let request = self.client.put(format!("{}{path}", self.base));
        request.header(COOKIE, &self.cookie).header(ORIGIN, &self.base)
    }

    /// Texts the demo line from a handset; what became of it.
    pub(crate) async fn text(&self, from: &str, body: &str) -> Value {
        self.send(&json!({ "from": from, "to": "+15005550006", "body": body })).await
    }

    /// Sends a handset's text as it stands.
    pub(crate) async fn send(&self, draft: &Value) -> Value {
        let request = self.client.post(format!("{}/simulator/texts", self.base));
        let request = request.header(COOKIE, &self.cookie).header(ORIGIN, &self.base);
        let answer = request.json(draft).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// What arrived on a handset, oldest first.
    pub(crate) async fn inbox(&self, number: &str) -> Vec<Value> {
        let path = format!("/simulator/handsets/{number}/messages");
        let mut shown: Value = self.get(&path).send().await.unwrap().json().await.unwrap();
        let Value::Array(mut texts) = shown["messages"].take() else { return Vec::new() };
        texts.retain(|text| text["direction"] == "received");
        texts
    }

    /// The text on a handset that has this in it, once it is there.
    pub(crate) async fn arrived(&self, number: &str, words: &str) -> Value {
        eventually_some(&format!("{number} gets {words:?}"), Duration::from_secs(10), async || {
            let inbox = self.inbox(number).await;
            inbox.into_iter().find(|text| text["body"].as_str().unwrap_or_default().contains(words))
        })
        .await
        .unwrap()
    }

    /// Follows what happens to cases from now on.
    pub(crate) async fn follow(&self) -> News {
        let mut stream = self.get("/api/v1/events").send().await.unwrap();
        assert_eq!(stream.status(), StatusCode::OK);
        let heard = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&heard);
        // The greeting says that the stream is open; nothing is missed after it.
        let greeting = stream.chunk().await.unwrap().unwrap();
        assert!(greeting.starts_with(b"retry: "), "{greeting:?}");
        tokio::spawn(async move {
            while let Ok(Some(piece)) = stream.chunk().await {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&piece));
            }
        });
        News(heard)
    }
}

/// Server-sent events as they come.
pub(crate) struct News(Arc<Mutex<String>>);

impl News {
    /// The first event of this kind, once it has come.
    pub(crate) async fn of(&self, kind: &str) -> Value {
        eventually_some(&format!("news of {kind}"), Duration::from_secs(10), async || {
            let heard = self.0.lock().unwrap().clone();
            // The last piece may not be whole yet.
            let (whole, _) = heard.rsplit_once("\n\n").unwrap_or_default();
            let events = whole.lines().filter_map(|line| line.strip_prefix("data: "));
            let mut events = events.map(|data| serde_json::from_str::<Value>(data).unwrap());
            events.find(|event| event["kind"] == kind)
        })
        .await
        .unwrap()
    }
}
