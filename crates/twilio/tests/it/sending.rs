//! What comes of a send, whatever the network and the provider do. The question is always whether the text may be
//! sent again.

use std::time::Duration;

use casewire_domain::{Address, DeliveryStatus, MessageId, Text};
use casewire_twilio::rest::{Client, Config, Send, SendOutcome, SetupError, Trouble};
use casewire_twilio::webhook;
use tokio::net::TcpListener;

use crate::provider::{Act, Provider, SID, client, credentials};

const FROM: &str = "+12065550199";
const TO: &str = "+12065550100";
const WORDS: &str = "R&D: 50% + more = 🔥";

async fn send(client: &Client) -> SendOutcome {
    let (from, to) = (Address::from_stored(FROM), Address::from_stored(TO));
    let id: MessageId = "000000000000000000000000000000ab".parse().unwrap();
    let status_callback = webhook::status_url("https://desk.example", "main", id, 1);
    let send = Send { from: &from, to: &to, body: &Text::new(WORDS), status_callback: &status_callback };
    client.send(&credentials(), &send).await
}

/// Plays one act, sends once, and expects one request and this outcome.
async fn check(act: Act, expected: SendOutcome) {
    let provider = Provider::playing([act]).await;
    let outcome = send(&provider.client()).await;
    assert_eq!(outcome, expected);
    assert_eq!(provider.received().len(), 1, "a send is one POST");
    for secret in [&FROM[1..], &TO[1..], "R&D", "t0ken"] {
        assert!(!format!("{outcome:?}").contains(secret), "{outcome:?}");
    }
}

fn created(sid: &str, status: &str) -> Act {
    let body = format!(r#"{{"sid":"{sid}","status":"{status}","to":"{TO}","error_code":null}}"#);
    Act::json("201 CREATED", "", &body)
}

fn error(status: &str, code: u32) -> Act {
    let http = &status[..3];
    let message = format!("The number {TO} is bad");
    Act::json(
        status,
        "",
        &format!(r#"{{"code":{code},"message":"{message}","more_info":"x","status":{http}}}"#),
    )
}

#[tokio::test]
async fn an_accepted_text_has_its_sid_and_status() {
    let accepted = |status| SendOutcome::Accepted { sid: SID.to_owned(), status };
    check(created(SID, "queued"), accepted(DeliveryStatus::Queued)).await;
    check(created(SID, "accepted"), accepted(DeliveryStatus::Queued)).await;
    check(created(SID, "sent"), accepted(DeliveryStatus::Sent)).await;
    // A status we do not know changes nothing of its being accepted.
    check(created(SID, "levitating"), accepted(DeliveryStatus::Queued)).await;
}

#[tokio::test]
async fn a_429_was_never_processed_and_says_how_long_to_wait() {
    let throttled = |retry_after| SendOutcome::NotProcessed { reason: Trouble::Throttled, retry_after };
    let body = r#"{"code":20429}"#;
    check(
        Act::json("429 TOO MANY REQUESTS", "Retry-After: 3\r\n", body),
        throttled(Some(Duration::from_secs(3))),
    )
    .await;
    check(Act::json("429 TOO MANY REQUESTS", "", body), throttled(None)).await;
    let day = Act::json("429 TOO MANY REQUESTS", "Retry-After: 86400\r\n", "");
    check(day, throttled(Some(Config::default().max_retry_after))).await;
}

#[tokio::test]
async fn without_a_connection_nothing_was_processed() {
    let unreachable = SendOutcome::NotProcessed { reason: Trouble::Unreachable, retry_after: None };
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    // TLS to a listener that does not speak it fails before anything of the request is sent.
    let closing = tokio::spawn(async move {
        drop(free.accept().await);
    });
    assert_eq!(send(&client(&format!("https://{address}"))).await, unreachable);
    closing.await.unwrap();
    // Now nobody listens there.
    assert_eq!(send(&client(&format!("http://{address}"))).await, unreachable);
    assert_eq!(send(&client("http://host.invalid")).await, unreachable);
}

#[tokio::test]
async fn a_refused_account_may_try_again_once_a_person_has_acted() {
    let refused = |http_status, code| SendOutcome::AccountRefused { http_status, code: Some(code) };
    check(error("401 UNAUTHORIZED", 20003), refused(401, 20003)).await;
    check(error("403 FORBIDDEN", 20003), refused(403, 20003)).await;
    check(error("403 FORBIDDEN", 20005), refused(403, 20005)).await;
    check(error("404 NOT FOUND", 20404), refused(404, 20404)).await;
    check(
        Act::json("401 UNAUTHORIZED", "", "<html>"),
        SendOutcome::AccountRefused { http_status: 401, code: None },
    )
    .await;
}

#[tokio::test]
async fn any_other_4xx_is_final_and_its_message_holds_no_number() {
    let rejected = |code, message| SendOutcome::Rejected { code, message };
    check(error("400 BAD REQUEST", 21211), rejected(Some(21211), "the recipient is not a valid number"))
        .await;
    check(error("400 BAD REQUEST", 21610), rejected(Some(21610), "the recipient has opted out")).await;
    check(error("400 BAD REQUEST", 29999), rejected(Some(29999), "the provider refused the message")).await;
    check(Act::json("403 FORBIDDEN", "", ""), rejected(None, "the provider refused the message")).await;
}

#[tokio::test]
async fn a_5xx_is_uncertain_even_when_it_asks_to_come_back() {
    let uncertain = |status| SendOutcome::Uncertain { reason: Trouble::ServerError(status) };
    check(error("500 INTERNAL SERVER ERROR", 20500), uncertain(500)).await;
    check(Act::json("503 SERVICE UNAVAILABLE", "Retry-After: 1\r\n", ""), uncertain(503)).await;
}

#[tokio::test]
async fn a_408_may_come_from_a_proxy_that_had_passed_the_text_on() {
    let uncertain = SendOutcome::Uncertain { reason: Trouble::UnexpectedStatus(408) };
    check(Act::json("408 REQUEST TIMEOUT", "", ""), uncertain).await;
}

#[tokio::test]
async fn a_201_that_cannot_be_read_is_uncertain() {
    let unreadable = SendOutcome::Uncertain { reason: Trouble::UnreadableAnswer };
    check(Act::json("201 CREATED", "", "{"), unreadable.clone()).await;
    check(Act::json("201 CREATED", "", ""), unreadable.clone()).await;
    check(Act::json("201 CREATED", "", r#"{"status":"queued"}"#), unreadable.clone()).await;
    check(created("SM123", "queued"), unreadable.clone()).await;
    check(Act::json("201 CREATED", "", &"x".repeat(20_000)), unreadable).await;
    let cut = format!("HTTP/1.1 201 CREATED\r\nContent-Length: 500\r\n\r\n{{\"sid\":\"{SID}\"");
    check(Act::Answer(cut), SendOutcome::Uncertain { reason: Trouble::ConnectionLost }).await;
}

#[tokio::test]
async fn silence_and_broken_connections_are_uncertain_and_not_tried_again() {
    let lost = SendOutcome::Uncertain { reason: Trouble::ConnectionLost };
    check(Act::Hang, SendOutcome::Uncertain { reason: Trouble::TimedOut }).await;
    check(Act::Reset, lost.clone()).await;
    check(Act::Answer(String::new()), lost.clone()).await;
    check(Act::Answer("SMTP?\r\n\r\n".to_owned()), lost).await;
    // The headers in time, the body never.
    let headers = "HTTP/1.1 201 CREATED\r\nContent-Length: 500\r\n\r\n".to_owned();
    check(Act::AnswerAndKeep(headers), SendOutcome::Uncertain { reason: Trouble::TimedOut }).await;
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_second_send_is_not_replaced() {
    let body = format!(r#"{{"sid":"{SID}","status":"queued"}}"#);
    let length = body.len();
    let kept = format!("HTTP/1.1 201 CREATED\r\nContent-Length: {length}\r\n\r\n{body}");
    let provider =
        Provider::playing([Act::AnswerAndKeep(kept), Act::Reset, Act::json("201 CREATED", "", &body)]).await;
    let client = provider.client();
    assert_eq!(send(&client).await.class(), "accepted");
    assert_eq!(send(&client).await, SendOutcome::Uncertain { reason: Trouble::ConnectionLost });
    assert_eq!(provider.received().len(), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Provider::playing([]).await;
    for status in ["302 FOUND", "307 TEMPORARY REDIRECT"] {
        let location = format!("Location: {}/\r\n", elsewhere.url);
        let code = status[..3].parse().unwrap();
        let expected = SendOutcome::Uncertain { reason: Trouble::UnexpectedStatus(code) };
        check(Act::json(status, &location, ""), expected).await;
    }
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test]
async fn a_base_url_that_is_none_is_refused() {
    client("http://127.0.0.1:1/prefix");
    for base_url in ["", "api.twilio.com", "ftp://api.twilio.com", "https://"] {
        let refused = Client::new(Config { base_url: base_url.to_owned(), ..Config::default() });
        assert!(matches!(refused, Err(SetupError::BaseUrl)), "{base_url}");
    }
}
