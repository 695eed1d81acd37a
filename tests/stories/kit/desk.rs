//! Somebody who works with cases through the API.

use std::time::Duration;

use casewire_testkit::eventually_some;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// An integration with a token.
#[derive(Clone)]
pub(crate) struct Desk {
    base: String,
    token: String,
    client: Client,
}

impl Desk {
    /// `base` is where the API's host is; the token may come with white space around it.
    pub(crate) fn new(base: &str, token: &str) -> Self {
        let client = casewire_testkit::http::client().unwrap();
        Self { base: base.to_owned(), token: token.trim().to_owned(), client }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token)
    }

    /// All cases, or those that the query lets through.
    pub(crate) async fn cases(&self, query: &str) -> Vec<Value> {
        let list: Value = self.get(&format!("/cases{query}")).send().await.unwrap().json().await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    pub(crate) async fn case(&self, number: &str) -> Value {
        self.find(number).await.unwrap()
    }

    /// The case, where there is one of this number yet.
    async fn find(&self, number: &str) -> Option<Value> {
        let answer = self.get(&format!("/cases/{number}")).send().await.unwrap();
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        Some(answer.json().await.unwrap())
    }

    /// The case, once it satisfies `condition`.
    pub(crate) async fn case_when(
        &self,
        number: &str,
        what: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually_some(what, Duration::from_secs(10), async || {
            self.find(number).await.filter(|case| condition(case))
        })
        .await
        .unwrap()
    }

    pub(crate) async fn reply(&self, number: &str, body: &str, key: &str) -> (StatusCode, Value) {
        let answer = self.replying(number, body, key).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Replies where nobody may be listening; what was answered, if anything.
    pub(crate) async fn try_reply(&self, number: &str, body: &str, key: &str) -> Option<StatusCode> {
        let answer = self.replying(number, body, key).send().await.ok()?;
        Some(answer.status())
    }

    fn replying(&self, number: &str, body: &str, key: &str) -> RequestBuilder {
        let request = self.client.post(format!("{}/api/v1/cases/{number}/replies", self.base));
        let request = request.bearer_auth(&self.token).header("Idempotency-Key", key);
        request.json(&json!({ "body": body }))
    }

    pub(crate) async fn set_status(&self, number: &str, status: &str) -> Value {
        let request = self.client.patch(format!("{}/api/v1/cases/{number}", self.base));
        let answer = request.bearer_auth(&self.token).json(&json!({ "status": status })).send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }
}

/// The texts of a case that went in one direction, as they were written.
pub(crate) fn bodies<'a>(case: &'a Value, direction: &str) -> Vec<&'a str> {
    texts(case, direction).map(|text| text["body"].as_str().unwrap()).collect()
}

/// The texts of a case that went in one direction.
pub(crate) fn texts<'a>(case: &'a Value, direction: &str) -> impl Iterator<Item = &'a Value> {
    case["messages"].as_array().unwrap().iter().filter(move |text| text["direction"] == direction)
}
