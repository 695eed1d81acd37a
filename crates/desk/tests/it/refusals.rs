//! Bad requests, each with an answer that says what is wrong.

use casewire_desk::BodyLimits;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{ANNA, World, problem};

const EVERY_PATH: [(Method, &str); 5] = [
    (Method::GET, "/api/v1/cases"),
    (Method::GET, "/api/v1/cases/00001001"),
    (Method::POST, "/api/v1/cases/00001001/replies"),
    (Method::PATCH, "/api/v1/cases/00001001"),
    (Method::GET, "/api/v1/events"),
];

#[tokio::test]
async fn without_a_token_nothing_is_told() {
    let world = World::new().await;
    world.case_of(ANNA, "hello").await;
    let unguarded = (Method::GET, "/api/v1/nowhere");
    for (verb, path) in EVERY_PATH.into_iter().chain([unguarded]) {
        let answer = world.bare(verb, path).send().await.unwrap();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"casewire\"");
        problem(answer, 401).await;
    }
}

#[tokio::test]
async fn a_token_nobody_made_is_refused() {
    let world = World::new().await;
    let link = world.new_link(chrono::Utc::now() + chrono::TimeDelta::hours(1)).await;
    let unknown = format!("cw_{}", "A".repeat(43));
    for token in [unknown.as_str(), "cw_", "", "x y", &link, &format!("cw_{link}")] {
        let request = world.bare(Method::GET, "/api/v1/cases");
        let answer = request.header("Authorization", format!("Bearer {token}")).send().await.unwrap();
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
        problem(answer, 401).await;
    }
    let request = world.bare(Method::GET, "/api/v1/cases").basic_auth("gwen", Some("secret"));
    problem(request.send().await.unwrap(), 401).await;
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_not_found() {
    let world = World::new().await;
    for path in ["/api/v1/nowhere", "/api/v1", "/api/v1/cases/00001001/x"] {
        let answer = world.request(Method::GET, path).send().await.unwrap();
        problem(answer, 404).await;
    }
}

#[tokio::test]
async fn a_method_a_path_does_not_take_is_refused_with_those_it_takes() {
    let world = World::new().await;
    for (verb, path, allowed) in [
        (Method::POST, "/api/v1/cases", "GET, HEAD"),
        (Method::DELETE, "/api/v1/cases/00001001", "GET, HEAD, PATCH"),
        (Method::GET, "/api/v1/cases/00001001/replies", "POST"),
        (Method::PUT, "/api/v1/events", "GET"),
    ] {
        let answer = world.request(verb, path).send().await.unwrap();
        assert_eq!(answer.headers()["allow"], allowed);
        problem(answer, 405).await;
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::new().await;
    let answer = world.request(Method::HEAD, "/api/v1/cases").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_refused() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let path = format!("/api/v1/cases/{number}/replies");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = world.request(Method::POST, &path).header("Content-Type", content_type);
        problem(request.body("{\"body\":\"x\"}").send().await.unwrap(), 415).await;
    }
    let request =
        world.request(Method::POST, &path).header("Content-Type", "application/json; charset=utf-8");
    assert_eq!(request.body("{\"body\":\"x\"}").send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn broken_json_says_where_it_breaks() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    for (body, place) in [
        ("{\"body\": \"x\"", "line 1, column 12"),
        ("{\n\"body\" \"x\"}", "line 2, column 8"),
        ("", "no body"),
    ] {
        let path = format!("/api/v1/cases/{number}/replies");
        let request = world.request(Method::POST, &path).header("Content-Type", "application/json");
        let answer = problem(request.body(body).send().await.unwrap(), 400).await;
        assert!(answer["detail"].as_str().unwrap().contains(place), "{answer}");
    }
}

#[tokio::test]
async fn all_wrong_fields_are_told_at_once() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let path = format!("/api/v1/cases/{number}/replies");
    let request = world.request(Method::POST, &path).header("Idempotency-Key", " ");
    let answer = problem(request.json(&json!({ "text": "x", "to": 5 })).send().await.unwrap(), 422).await;
    let fields: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["body", "Idempotency-Key", "text", "to"]);
    let answer = problem(world.set_status(&number, "shut").await, 422).await;
    assert_eq!(answer["errors"][0]["field"], "status");
}

#[tokio::test]
async fn what_is_given_twice_is_refused_and_nothing_is_sent() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let path = format!("/api/v1/cases/{number}/replies");
    let post = || world.request(Method::POST, &path).header("Content-Type", "application/json");
    let twice = post().header("Idempotency-Key", "a").header("Idempotency-Key", "b").body("{\"body\":\"x\"}");
    let answer = problem(twice.send().await.unwrap(), 422).await;
    assert_eq!(answer["errors"][0]["field"], "Idempotency-Key");
    let twice = post().body("{\"body\":\"yes\",\"body\":\"no\"}");
    let answer = problem(twice.send().await.unwrap(), 422).await;
    assert_eq!(answer["errors"][0]["detail"], "is given twice");
    let case = world.get(&format!("/api/v1/cases/{number}")).await;
    let messages = case["messages"].as_array().unwrap();
    assert!(messages.iter().all(|it| it["automatic"] == true || it["direction"] == "inbound"), "{case}");
}

#[tokio::test]
async fn a_body_too_large_is_refused_unread() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let answer = world.reply(&number, &"x".repeat(100_000), None).await;
    problem(answer, 413).await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_not_waited_for() {
    let limits = BodyLimits { bytes: 1000, time: Duration::from_millis(50) };
    let world = World::with(|config| config.body = limits).await;
    let token = crate::world::new_token(&world.store, "slow").await;
    let address = world.url.strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/cases/00001001/replies HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let whole = connection.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), whole).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn while_the_database_is_away_the_answer_is_to_try_again() {
    let world = World::new().await;
    world.store.close().await;
    let answer = world.request(Method::GET, "/api/v1/cases").send().await.unwrap();
    assert!(answer.headers().contains_key("retry-after"));
    problem(answer, 503).await;
}
