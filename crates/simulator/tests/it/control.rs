//! What the demo page and the command line ask, over HTTP.

use std::time::Duration;

use casewire_simulator::Config;
use futures_util::StreamExt;
use reqwest::Response;
use serde_json::{Value, json};

use crate::receiver::{Receiver, twiml};
use crate::stand::{ACCOUNT, LINE, PATIENCE, PERSON, Stand, TOKEN, quick};

async fn ask(stand: &Stand, method: &str, path: &str, body: Value) -> (u16, Value) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = stand.client.request(method, format!("{}/simulator{path}", stand.url));
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// A registered line, over HTTP alone.
async fn with_line(receiver: &Receiver) -> Stand {
    let stand = Stand::start(quick());
    stand.ready().await;
    let line = json!({
        "number": "(555) 000-0001", "account_sid": ACCOUNT, "auth_token": TOKEN,
        "webhook_url": receiver.url("/in"), "method": "POST"
    });
    let (status, told) = ask(&stand, "POST", "/lines", line).await;
    assert_eq!((status, &told["number"], &told["auth_token"]), (200, &json!(LINE), &Value::Null));
    stand
}

#[tokio::test]
async fn a_text_is_sent_by_a_line_that_was_registered() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = with_line(&receiver).await;
    let text = json!({ "from": "206 555 0100", "to": LINE, "body": "my heater is broken" });
    let (status, told) = ask(&stand, "POST", "/texts", text).await;
    assert_eq!((status, &told["taken"], &told["segments"]), (200, &json!(true), &json!(1)));
    assert_eq!((&told["webhooks"][0]["status"], &told["webhooks"][0]["attempts"]), (&json!(200), &json!(1)));
    assert_eq!((&told["keyword"], &told["fallback"]), (&Value::Null, &Value::Null));
    assert!(receiver.is_signed(&receiver.received()[0]));
    assert_eq!(receiver.received()[0].get("From"), PERSON);

    let (_, lines) = ask(&stand, "GET", "/lines", Value::Null).await;
    assert_eq!(lines["lines"][0]["webhook_url"], receiver.url("/in"));
    assert!(!lines.to_string().contains(TOKEN));
    assert_eq!(ask(&stand, "DELETE", "/lines/+15550000001", Value::Null).await.0, 204);
    assert_eq!(ask(&stand, "DELETE", "/lines/+15550000001", Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_handset_shows_both_sides_and_where_to_read_on() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = with_line(&receiver).await;
    ask(&stand, "POST", "/texts", json!({ "from": PERSON, "to": LINE, "body": "hello" })).await;
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "Your case is 00001001.")]).await;
    stand.idle().await;
    let (_, handset) = ask(&stand, "GET", "/handsets/+12065550100/messages", Value::Null).await;
    let messages = handset["messages"].as_array().unwrap();
    let told: Vec<_> =
        messages.iter().map(|m| (&m["direction"], &m["origin"], &m["line"], &m["body"])).collect();
    assert_eq!(
        told,
        [
            (&json!("sent"), &json!("handset"), &json!(LINE), &json!("hello")),
            (&json!("received"), &json!("api"), &json!(LINE), &json!("Your case is 00001001.")),
        ]
    );
    let after = format!("/handsets/+12065550100/messages?after={}", messages[0]["seq"]);
    let (_, rest) = ask(&stand, "GET", &after, Value::Null).await;
    assert_eq!((rest["messages"].as_array().map(Vec::len), &rest["cursor"]), (Some(1), &handset["cursor"]));
}

/// Reads from an event stream until it holds `needle`.
async fn read_until(
    stream: &mut (impl StreamExt<Item = reqwest::Result<bytes::Bytes>> + Unpin),
    needle: &str,
) -> String {
    let mut all = String::new();
    while !all.contains(needle) {
        let chunk = tokio::time::timeout(PATIENCE, stream.next()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("no {needle} in {all:?}"));
        all.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
    all
}

async fn open(stand: &Stand, query: &str, resume: Option<&str>) -> Response {
    let url = format!("{}/simulator/handsets/%2B12065550100/stream{query}", stand.url);
    let request = stand.client.get(url);
    let request = match resume {
        Some(id) => request.header("Last-Event-ID", id),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_handset_is_watched_live_and_resumed_where_it_broke() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let answer = open(&stand, "", None).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut live = Box::pin(answer.bytes_stream());
    read_until(&mut live, "retry: 1000\n\n").await;
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "one")]).await;
    let event = read_until(&mut live, "\"one\"").await;
    assert!(event.starts_with("event: message\nid: 1\ndata: {\"seq\":1,"), "{event}");
    drop(live);
    stand.send(&[("From", LINE), ("To", "+12065550199"), ("Body", "of another")]).await;
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "two")]).await;
    stand.idle().await;
    let mut resumed = Box::pin(open(&stand, "", Some("1")).await.bytes_stream());
    let missed = read_until(&mut resumed, "\"two\"").await;
    assert!(!missed.contains("\"one\"") && !missed.contains("of another"), "{missed}");
    let mut whole = Box::pin(open(&stand, "?after=0", None).await.bytes_stream());
    assert!(read_until(&mut whole, "\"two\"").await.contains("\"one\""));
}

#[tokio::test]
async fn a_quiet_stream_beats_even_while_others_are_busy_and_ends_with_the_simulator() {
    let stand = Stand::start(Config { heartbeat: Duration::from_millis(50), ..quick() });
    stand.ready().await;
    let mut live = Box::pin(open(&stand, "", None).await.bytes_stream());
    let busy = async {
        loop {
            stand.send(&[("From", LINE), ("To", "+12065550199"), ("Body", "x")]).await;
        }
    };
    tokio::select! {
        () = busy => {}
        _ = read_until(&mut live, ": heartbeat\n\n") => {}
    }
    drop(stand);
    let end = async { while live.next().await.is_some_and(|chunk| chunk.is_ok()) {} };
    tokio::time::timeout(PATIENCE, end).await.unwrap();
}

#[tokio::test]
async fn faults_are_put_and_told_with_how_often_they_happened() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let rules = json!({ "rules": [
        { "fault": { "too_many_requests": { "retry_after_s": 1 } }, "next": 2 },
        { "fault": "reorder_callbacks", "probability": 0.5, "statuses": ["sent"] },
    ]});
    assert_eq!(ask(&stand, "PUT", "/faults", rules).await.0, 200);
    let form = [("From", LINE), ("To", PERSON), ("Body", "x")];
    assert_eq!(stand.refused(&form).await.0, 429);
    let (_, told) = ask(&stand, "GET", "/faults", Value::Null).await;
    let first = &told["rules"][0];
    assert_eq!((&first["next"], &first["happened"]), (&json!(1), &json!(1)));
    for wrong in [
        json!({ "rules": [{ "fault": "no_such_fault" }] }),
        json!({ "rules": [{ "fault": "opted_out", "probabilty": 1 }] }),
        json!({ "rules": [{ "fault": "opted_out", "probability": 2 }] }),
        json!({}),
    ] {
        let (status, problem) = ask(&stand, "PUT", "/faults", wrong).await;
        assert_eq!(status, 400);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    assert_eq!(ask(&stand, "PUT", "/faults", json!({ "rules": [] })).await.0, 200);
    stand.send(&form).await;
}

#[tokio::test]
async fn the_ledger_tells_of_sends_and_texts_and_is_read_on() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = with_line(&receiver).await;
    for body in ["a", "b", "c"] {
        stand
            .send(&[("From", LINE), ("To", PERSON), ("Body", body), ("StatusCallback", &receiver.url("/s"))])
            .await;
    }
    ask(&stand, "POST", "/texts", json!({ "from": PERSON, "to": LINE, "body": "hello" })).await;
    stand.idle().await;
    let (_, ledger) = ask(&stand, "GET", "/ledger?sends_after=1&limit=1", Value::Null).await;
    let send = &ledger["sends"][0];
    assert_eq!(ledger["sends"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&send["entry"], &send["body"], &send["answered"]),
        (&json!(2), &json!("b"), &json!("created"))
    );
    assert_eq!((&send["to"], &send["status_callback"]), (&json!(PERSON), &json!(receiver.url("/s"))));
    assert_eq!(ledger["texts"][0]["webhooks"][0]["status"], 200);
    assert_eq!(ledger["callbacks"]["delivered"], 6);
    let (_, pending) = ask(&stand, "GET", "/pending", Value::Null).await;
    assert_eq!(pending, json!({ "texts": 0, "callbacks": 0, "webhooks": 0 }));
}

#[tokio::test]
async fn an_account_registered_over_http_takes_its_own_password_alone() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let path = format!("/accounts/{ACCOUNT}");
    assert_eq!(ask(&stand, "PUT", &path, json!({ "auth_token": "rotated" })).await.0, 204);
    assert_eq!(stand.refused(&[("From", LINE), ("To", PERSON), ("Body", "x")]).await.0, 401);
    assert_eq!(ask(&stand, "PUT", &path, json!({ "auth_token": TOKEN })).await.0, 204);
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "x")]).await;
    assert_eq!(ask(&stand, "PUT", "/accounts/AC1", json!({ "auth_token": "x" })).await.0, 400);
}

#[tokio::test]
async fn a_line_that_a_text_tells_all_of_is_known_from_then_on() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let text = json!({
        "from": PERSON, "to": LINE, "body": "x", "account_sid": ACCOUNT, "auth_token": TOKEN,
        "webhook_url": "http://127.0.0.1:9/#rc=0"
    });
    assert_eq!(ask(&stand, "POST", "/texts", text).await.0, 200);
    let (_, lines) = ask(&stand, "GET", "/lines", json!({})).await;
    assert_eq!(lines["lines"][0]["webhook_url"], "http://127.0.0.1:9/#rc=0", "{lines}");
    assert_eq!(
        ask(&stand, "POST", "/texts", json!({ "from": PERSON, "to": LINE, "body": "y" })).await.0,
        200
    );
}

#[tokio::test]
async fn mistakes_are_told_as_problems() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let text = |to: &str, extra: Value| {
        let mut text = json!({ "from": PERSON, "to": to, "body": "x" });
        text.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        text
    };
    let account = json!({ "account_sid": ACCOUNT, "webhook_url": "http://127.0.0.1:9/" });
    for (body, status) in [
        (text(LINE, json!({})), 404),
        (text(LINE, account), 409),
        (text("", json!({})), 400),
        (text(LINE, json!({ "message_sid": "SM1" })), 400),
        (text(LINE, json!({ "unknown": 1 })), 400),
    ] {
        let (told, problem) = ask(&stand, "POST", "/texts", body).await;
        assert_eq!((told, &problem["status"]), (status, &json!(status)), "{problem}");
        assert!(!problem.to_string().contains("2065550100"));
    }
}
