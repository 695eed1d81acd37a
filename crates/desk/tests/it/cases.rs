//! Looking at cases, closing and reopening them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{ANNA, BEN, World, problem};

fn numbers(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["number"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_text_shows_as_a_case_with_its_contact_and_its_newest_text() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "my heater is broken").await;
    let list = world.get("/api/v1/cases").await;
    let case = &list["items"][0];
    assert_eq!(case["number"], number.as_str());
    assert_eq!((&case["status"], &case["line"]), (&json!("open"), &json!("demo")));
    assert_eq!(case["subject"], "my heater is broken");
    assert_eq!(case["contact"]["name"], "SMS from Seattle, WA");
    assert_eq!(case["contact"]["address"], ANNA);
    assert_eq!(case["last_message"]["direction"], "outbound");
    assert_eq!(list["next"], Value::Null);
}

#[tokio::test]
async fn a_case_tells_every_text_and_why_it_is_there() {
    for world in [World::new().await, World::on_postgres().await] {
        let number = world.case_of(ANNA, "my heater is broken").await;
        world.text(ANNA, "still broken, see 00009999").await;
        let case = world.get(&format!("/api/v1/cases/{number}")).await;
        let texts = case["messages"].as_array().unwrap();
        let of = |i: usize, field: &str| texts[i][field].clone();
        assert_eq!(texts.len(), 3);
        assert_eq!((of(0, "direction"), of(0, "status")), (json!("inbound"), json!("received")));
        assert_eq!(texts[0]["why"]["rule"], "opened_first");
        assert!(texts[0]["why"]["words"].as_str().unwrap().contains(&number));
        assert_eq!((of(1, "automatic"), of(1, "status")), (json!(true), json!("queued")));
        assert!(of(1, "body").as_str().unwrap().contains(&number));
        assert_eq!(texts[2]["why"]["rule"], "joined_current");
        assert_eq!(texts[2]["why"]["passed_over"][0]["number"], "00009999");
        assert_eq!(texts[2]["why"]["passed_over"][0]["because"], "no_such_case");
        let kinds: Vec<_> = case["events"].as_array().unwrap().iter().map(|it| it["kind"].clone()).collect();
        assert_eq!(kinds, ["case_opened", "acknowledgement_queued", "text_joined"]);
        assert_eq!(case["events"][0]["message"], texts[0]["id"]);
    }
}

#[tokio::test]
async fn the_list_is_narrowed_by_status_contact_and_line() {
    let world = World::new().await;
    let annas = world.case_of(ANNA, "mine").await;
    let bens = world.case_of(BEN, "his").await;
    world.set_status(&annas, "closed").await;
    assert_eq!(numbers(&world.get("/api/v1/cases?status=closed").await), [annas.as_str()]);
    assert_eq!(numbers(&world.get("/api/v1/cases?contact=%2B12065550199").await), [bens.as_str()]);
    let contact = world.get(&format!("/api/v1/cases/{annas}")).await["contact"]["id"].clone();
    let by_id = world.get(&format!("/api/v1/cases?contact={}", contact.as_str().unwrap())).await;
    assert_eq!(numbers(&by_id), [annas.as_str()]);
    assert_eq!(numbers(&world.get("/api/v1/cases?line=demo").await).len(), 2);
    assert_eq!(numbers(&world.get("/api/v1/cases?line=other").await).len(), 0);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    for world in [World::new().await, World::on_postgres().await] {
        let mut opened = Vec::new();
        for i in 0..5 {
            opened.push(world.case_of(&format!("+1206555010{i}"), "hello").await);
        }
        opened.reverse();
        let mut seen = Vec::new();
        let mut path = "/api/v1/cases?limit=2".to_owned();
        loop {
            let page = world.get(&path).await;
            seen.extend(numbers(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/api/v1/cases?limit=2&after={next}");
        }
        assert_eq!(seen, opened);
    }
}

#[tokio::test]
async fn a_case_is_closed_and_reopened_and_its_trail_says_by_whom() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let closed: Value = world.set_status(&number, "closed").await.json().await.unwrap();
    assert_eq!(closed["status"], "closed");
    assert!(closed["closed_at"].is_string());
    let reopened: Value = world.set_status(&number, "open").await.json().await.unwrap();
    assert_eq!((&reopened["status"], &reopened["closed_at"]), (&json!("open"), &Value::Null));
    let events = reopened["events"].as_array().unwrap();
    let words: Vec<_> = events.iter().rev().take(2).map(|it| it["words"].as_str().unwrap()).collect();
    assert_eq!(words, ["gwen reopened the case", "gwen closed the case"]);
}

#[tokio::test]
async fn after_closing_a_text_opens_another_case() {
    let world = World::new().await;
    let first = world.case_of(ANNA, "hello").await;
    world.set_status(&first, "closed").await;
    let second = world.case_of(ANNA, "hello again").await;
    assert_ne!(first, second);
    let case = world.get(&format!("/api/v1/cases/{second}")).await;
    assert_eq!(case["messages"][0]["why"]["rule"], "opened_after_closing");
}

#[tokio::test]
async fn a_reply_held_back_by_the_loop_guard_says_so() {
    let world = World::new().await;
    let mut number = String::new();
    for _ in 0..4 {
        number = world.case_of(ANNA, "hello").await;
        world.set_status(&number, "closed").await;
    }
    let case = world.get(&format!("/api/v1/cases/{number}")).await;
    let held = case["events"].as_array().unwrap().iter().find(|it| it["kind"] == "acknowledgement_withheld");
    let held = held.expect("the fourth automatic reply in ten minutes is held back");
    assert_eq!(held["why"]["because"], "loop_guard_ten_minutes");
    assert!(held["reason"].as_str().unwrap().contains("ten minutes"));
}

#[tokio::test]
async fn a_case_nobody_has_is_not_found() {
    let world = World::new().await;
    for number in ["00009999", "1001", "abc", "00001001x"] {
        let path = format!("/api/v1/cases/{number}");
        let answer = world.request(Method::GET, &path).send().await.unwrap();
        let body = problem(answer, 404).await;
        assert_eq!(body["type"], "urn:casewire:problem:no-such-case", "{number}");
        problem(world.set_status(number, "closed").await, 404).await;
        problem(world.reply(number, "hello", None).await, 404).await;
    }
}

#[tokio::test]
async fn the_description_is_for_everybody_and_is_made_from_the_code() {
    let world = World::new().await;
    let answer = world.bare(Method::GET, "/api/v1/openapi.json").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let description: Value = answer.json().await.unwrap();
    let body = &description["paths"]["/api/v1/cases/{number}/replies"]["post"];
    assert!(body["responses"]["409"].is_object(), "{body}");
}

#[tokio::test]
async fn every_answer_has_the_fields_the_description_promises() {
    let world = World::new().await;
    let number = world.case_of(ANNA, "hello").await;
    let description: Value =
        world.bare(Method::GET, "/api/v1/openapi.json").send().await.unwrap().json().await.unwrap();
    let case = world.get(&format!("/api/v1/cases/{number}")).await;
    for (schema, value) in [("MessageBody", &case["messages"][0]), ("EventBody", &case["events"][0])] {
        let described = &description["components"]["schemas"][schema]["properties"];
        let mut promised: Vec<_> = described.as_object().expect(schema).keys().collect();
        let mut given: Vec<_> = value.as_object().unwrap().keys().collect();
        promised.sort();
        given.sort();
        assert_eq!(given, promised, "{schema}");
    }
}
