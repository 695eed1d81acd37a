//! Replying.

use serde_json::{Value, json};

use crate::world::{ANNA, BEN, World, problem};

#[tokio::test]
async fn a_reply_is_queued_under_the_name_of_who_wrote_it() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let answer = world.reply(&number, "We are on our way.", None).await;
    assert_eq!(answer.status(), 201);
    let message: Value = answer.json().await.unwrap();
    assert_eq!((&message["status"], &message["direction"]), (&json!("queued"), &json!("outbound")));
    assert_eq!((&message["author"], &message["automatic"]), (&json!("agent:gwen"), &json!(false)));
    assert_eq!(message["segments"], 1);
    let case = world.get(&format!("/api/v1/cases/{number}")).await;
    let texts = case["messages"].as_array().unwrap();
    assert_eq!(texts.last().unwrap()["body"], "We are on our way.");
}

#[tokio::test]
async fn with_the_same_key_the_same_reply_is_one_text_and_one_answer() {
    for world in [World::new().await, World::on_postgres().await] {
        let number = world.case_of(ANNA, "hello").await;
        let first = world.reply(&number, "On our way.", Some("k1")).await;
        let first = (first.status(), first.bytes().await.unwrap());
        let again = world.reply(&number, "On our way.", Some("k1")).await;
        assert_eq!((again.status(), again.bytes().await.unwrap()), first);
        let case = world.get(&format!("/api/v1/cases/{number}")).await;
        let replies = case["messages"].as_array().unwrap().iter().filter(|it| it["author"] == "agent:gwen");
        assert_eq!(replies.count(), 1);
    }
}

#[tokio::test]
async fn sixteen_requests_at_once_with_one_key_are_one_text() {
    let world = World::on_postgres().await;
    let number = world.case_of(ANNA, "hello").await;
    let asked = (0..16).map(|_| async {
        let answer = world.reply(&number, "On our way.", Some("at-once")).await;
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    });
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer == &answers[0] && answer.0 == 201), "{answers:?}");
    let case = world.get(&format!("/api/v1/cases/{number}")).await;
    let replies = case["messages"].as_array().unwrap().iter().filter(|it| it["author"] == "agent:gwen");
    assert_eq!(replies.count(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_reply() {
    let world = World::new().await;
    let (annas, bens) = (world.case_of(ANNA, "hello").await, world.case_of(BEN, "hello").await);
    assert_eq!(world.reply(&annas, "one", Some("k")).await.status(), 201);
    let other_words = problem(world.reply(&annas, "two", Some("k")).await, 422).await;
    assert_eq!(other_words["type"], "urn:casewire:problem:key-reused");
    problem(world.reply(&bens, "one", Some("k")).await, 422).await;
}

#[tokio::test]
async fn without_a_key_every_request_is_a_text() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    for _ in 0..2 {
        assert_eq!(world.reply(&number, "On our way.", None).await.status(), 201);
    }
    let case = world.get(&format!("/api/v1/cases/{number}")).await;
    let replies = case["messages"].as_array().unwrap().iter().filter(|it| it["author"] == "agent:gwen");
    assert_eq!(replies.count(), 2);
}

#[tokio::test]
async fn who_has_opted_out_is_sent_nothing() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    world.text(ANNA, "STOP").await;
    let body = problem(world.reply(&number, "On our way.", None).await, 409).await;
    assert_eq!(body["type"], "urn:casewire:problem:opted-out");
    assert_eq!(world.get(&format!("/api/v1/cases/{number}")).await["opted_out"], true);
    world.text(ANNA, "START").await;
    assert_eq!(world.get(&format!("/api/v1/cases/{number}")).await["opted_out"], false);
    assert_eq!(world.reply(&number, "On our way.", None).await.status(), 201);
}

#[tokio::test]
async fn an_empty_or_overlong_text_is_refused_with_the_reason() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    for (body, detail) in [
        ("", "is empty"),
        (" \n\t", "is empty"),
        (&"x".repeat(1601), "is longer than 1600 characters"),
        ("a\0b", "holds U+0000, which no text can carry"),
    ] {
        let answer = problem(world.reply(&number, body, None).await, 422).await;
        assert_eq!(answer["errors"], json!([{ "field": "body", "detail": detail }]));
    }
    assert_eq!(world.reply(&number, &"ü".repeat(1600), None).await.status(), 201);
}

#[tokio::test]
async fn every_body_a_person_writes_arrives_whole() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let bodies = ["R&D", "a=b", "50% + more", "👩‍👩‍👧", "مرحبا", "<b>\"quoted\"</b> & '\\'", "line\nbreak\ttab"];
    for body in bodies {
        assert_eq!(world.reply(&number, body, None).await.status(), 201, "{body}");
    }
    let case = world.get(&format!("/api/v1/cases/{number}")).await;
    let texts = case["messages"].as_array().unwrap();
    let written: Vec<_> = texts[texts.len() - bodies.len()..].iter().map(|it| it["body"].clone()).collect();
    assert_eq!(written, bodies);
}
