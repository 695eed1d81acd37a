//! Webhooks that are not as they should be: a clear answer to each, and nothing lost.

use std::time::Duration;

use casewire_testkit::eventually_some;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Desk, Home, Hook, Up, bodies, message_sid};

const FORM: &str = "application/x-www-form-urlencoded";
const CUSTOMER: &str = "+12065550100";

async fn sent(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

fn webhook(hook: &Hook, body: impl Into<reqwest::Body>) -> RequestBuilder {
    hook.client.post(format!("{}/inbound/{}", hook.address, hook.line)).header(CONTENT_TYPE, FORM).body(body)
}

/// The dead letters, once there are so many.
async fn dead_letters(home: &Home, count: usize) -> Vec<Value> {
    eventually_some(&format!("{count} dead letters"), Duration::from_secs(10), async || {
        let listed = home.run(&["dead-letter", "list", "--json"]).await;
        let Value::Array(letters) = serde_json::from_str(&listed).unwrap() else { return None };
        (letters.len() == count).then_some(letters)
    })
    .await
    .unwrap()
}

/// A good text opens a case as if nothing had been.
async fn all_is_well(home: &Home, up: &Up, hook: &Hook) {
    assert_eq!(hook.text(&message_sid(), CUSTOMER, "all is well?").await.unwrap().status(), 200);
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    let found = eventually_some("the case", Duration::from_secs(10), async || {
        desk.cases("").await.into_iter().find(|case| case["contact"]["address"] == CUSTOMER)
    });
    let number = found.await.unwrap()["number"].as_str().unwrap().to_owned();
    assert_eq!(bodies(&desk.case(&number).await, "inbound"), ["all is well?"]);
    assert_eq!(desk.cases("").await.len(), 1, "nothing else became a case");
}

#[tokio::test]
async fn what_is_no_webhook_of_ours_is_refused_and_leaves_nothing_behind() {
    let home = Home::new();
    let up = home.start().await;
    let hook = home.line(&up).await;

    let ten_megabytes = sent(webhook(&hook, vec![b'a'; 10 << 20])).await;
    assert_eq!(ten_megabytes.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let parameters: Vec<_> = (0..300).map(|i| format!("p{i}=x")).collect();
    for body in [parameters.join("&").as_str(), "Body=%ff%fe", "Body=100%", "Body=%4"] {
        assert_eq!(sent(webhook(&hook, body.to_owned())).await.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    let raw = sent(webhook(&hook, b"Body=\xff\xfe".to_vec())).await;
    assert_eq!(raw.status(), StatusCode::BAD_REQUEST);
    let zipped = sent(webhook(&hook, "Body=x").header(CONTENT_ENCODING, "gzip")).await;
    assert_eq!(zipped.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let client = &hook.client;
    let url = format!("{}/inbound/{}", hook.address, hook.line);
    let xml = sent(client.post(&url).header(CONTENT_TYPE, "text/xml").body("<x/>")).await;
    assert_eq!(xml.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // Which methods a line takes is for those to know who can sign.
    let got = sent(client.get(&url)).await;
    assert_eq!(got.status(), StatusCode::FORBIDDEN);
    for answer in [ten_megabytes, raw, zipped, xml, got] {
        let said = answer.text().await.unwrap();
        assert!(said.len() < 100 && said.ends_with('\n') && !said.contains("::"), "{said}");
    }
    all_is_well(&home, &up, &hook).await;
    assert_eq!(dead_letters(&home, 0).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_unknown_line_and_a_bad_signature_are_answered_alike() {
    let home = Home::new();
    let up = home.start().await;
    let hook = home.line(&up).await;
    let mut answers = Vec::new();
    let stranger = Hook { token: "another token".into(), ..hook.clone() };
    let nowhere = Hook { line: "nowhere".to_owned(), ..hook.clone() };
    for hook in [stranger, nowhere] {
        let answer = hook.text(&message_sid(), CUSTOMER, "let me in").await.unwrap();
        let mut headers = answer.headers().clone();
        headers.remove("date");
        answers.push((answer.status(), headers, answer.text().await.unwrap()));
    }
    assert_eq!(answers[0].0, StatusCode::FORBIDDEN);
    assert_eq!(answers[0], answers[1]);
    let unsigned = sent(webhook(&hook, "Body=let+me+in")).await;
    assert_eq!((unsigned.status(), unsigned.text().await.unwrap()), (answers[0].0, answers[0].2.clone()));
    all_is_well(&home, &up, &hook).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let home = Home::new();
    let slow = home.up().env("CASEWIRE_INGEST__BODY_TIMEOUT", "300ms");
    let up = Up::ready(slow.spawn().unwrap()).await;
    let hook = home.line(&up).await;
    let mut stream = TcpStream::connect(up.base.strip_prefix("http://").unwrap()).await.unwrap();
    let head =
        "POST /inbound/tests HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    stream.write_all(format!("{head}Content-Length: 100\r\n\r\nBody=slow").as_bytes()).await.unwrap();
    let mut answer = vec![0; 512];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    all_is_well(&home, &up, &hook).await;
}

#[tokio::test]
async fn a_signed_webhook_that_makes_no_sense_is_kept_shown_and_replayed() {
    let home = Home::new();
    let up = home.start().await;
    let hook = home.line(&up).await;
    let path = format!("/inbound/{}", hook.line);
    let text = [("From", CUSTOMER), ("To", "+15550001111"), ("Body", "can you read this?")];
    for sid in [None, Some("SM123"), Some("SMzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")] {
        let form = sid.map(|sid| ("MessageSid", sid)).into_iter().chain(text).collect();
        // Twilio would only send the same again.
        assert_eq!(hook.post(&path, &form).await.unwrap().status(), StatusCode::OK, "{sid:?}");
    }
    let letters = dead_letters(&home, 3).await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons.iter().filter(|reason| reason.contains("MessageSid is missing")).count(),
        1,
        "{reasons:?}"
    );

    let listed = home.run(&["dead-letter", "list"]).await;
    assert!(listed.contains("REASON") && listed.lines().count() == 4, "{listed}");
    let id = letters[0]["id"].as_str().unwrap();
    let shown = home.run(&["dead-letter", "show", id]).await;
    for part in [id, reasons[0], "POST /inbound/tests", "Body=can+you+read+this"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // The same parser cannot read it now either, and says so.
    let replayed = home.run(&["dead-letter", "replay", id]).await;
    assert!(replayed.contains(id) && replayed.contains("it is a dead letter still"), "{replayed}");
    let unknown = home.refused(&["dead-letter", "replay", "i:AC1:SM1"]).await;
    assert!(unknown.contains("there is no dead letter i:AC1:SM1"), "{unknown}");
    all_is_well(&home, &up, &hook).await;
    dead_letters(&home, 3).await;
}
