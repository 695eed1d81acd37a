//! Texts that are held: a person says what becomes of them.

use casewire_domain::MessageId;
use casewire_domain::command::Command;
use casewire_domain::decide::{Outcome, Sighting};
use casewire_domain::outbox::AttemptOutcome;
use casewire_domain::settle::{Answer, Look};
use casewire_store::Claim;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::world::{ANNA, World, problem};

impl World {
    /// A case whose acknowledgement nobody knows the outcome of; its number, and the text's id.
    async fn uncertain(&self) -> (String, MessageId) {
        let case = self.case_of(ANNA, "hello").await;
        let lease = std::time::Duration::from_secs(60);
        let claim = Claim { most: 1, lease, paused: Vec::new(), slowed: Vec::new() };
        let id = self.store.claim(claim).await.unwrap().messages[0].message_id;
        let outcome = AttemptOutcome::Uncertain;
        let attempted = Command::Attempted { message_id: id, attempt: 1, outcome, trace: None };
        self.store.handle_one(attempted).await.unwrap();
        (case, id)
    }

    /// The same, once the provider's list did not tell either.
    async fn held(&self) -> (String, MessageId) {
        let (case, message_id) = self.uncertain().await;
        let answer = Answer::Listed { texts: Vec::new(), complete: true };
        let look = Look { message_id, attempt: 1, last: true, resends_most: 1, answer };
        let outcome = self.store.handle_one(Command::Looked(look)).await.unwrap();
        assert_eq!(outcome, Outcome::Looked(Sighting::Held));
        (case, message_id)
    }

    async fn decides(&self, case: &str, id: impl ToString, verdict: &str) -> Response {
        let path = format!("/api/v1/cases/{case}/messages/{}", id.to_string());
        self.request(Method::PATCH, &path).json(&json!({ "verdict": verdict })).send().await.unwrap()
    }

    async fn last(&self, case: &str) -> Value {
        let case = self.get(&format!("/api/v1/cases/{case}")).await;
        case["messages"].as_array().unwrap().last().unwrap().clone()
    }
}

#[tokio::test]
async fn a_held_text_says_so_and_a_person_decides_once() {
    for world in [World::new().await, World::on_postgres().await] {
        let (case, id) = world.held().await;
        let text = world.last(&case).await;
        assert_eq!((&text["status"], &text["held"]), (&json!("uncertain"), &json!(true)));
        let answer = world.decides(&case, id, "arrived").await;
        assert_eq!(answer.status(), 200);
        let text: Value = answer.json().await.unwrap();
        assert_eq!((&text["status"], &text["held"]), (&json!("sent"), &json!(false)));
        let late = problem(world.decides(&case, id, "send_again").await, 409).await;
        assert_eq!(late["type"], "urn:casewire:problem:not-held");
        let trail = world.get(&format!("/api/v1/cases/{case}")).await;
        let said: Vec<_> = trail["events"].as_array().unwrap().iter().map(|event| &event["words"]).collect();
        assert!(said.contains(&&json!("gwen says that it arrived")), "{said:?}");
    }
}

#[tokio::test]
async fn a_text_that_a_person_wants_sent_again_is_queued() {
    let world = World::new().await;
    let (case, id) = world.held().await;
    assert_eq!(world.decides(&case, id, "send_again").await.status(), 200);
    let text = world.last(&case).await;
    assert_eq!((&text["status"], &text["held"]), (&json!("queued"), &json!(false)));
}

#[tokio::test]
async fn nothing_is_decided_while_twilio_is_being_asked_or_about_what_is_not_there() {
    let world = World::new().await;
    let (case, id) = world.uncertain().await;
    assert_eq!(world.last(&case).await["held"], false);
    let early = problem(world.decides(&case, id, "arrived").await, 409).await;
    assert_eq!(early["type"], "urn:casewire:problem:still-settling");
    for (number, text) in [(&case[..], "nonsense"), (&case, "01a1fa4f-ec93-7279-8768-cb7257065768")] {
        let missing = problem(world.decides(number, text, "arrived").await, 404).await;
        assert_eq!(missing["type"], "urn:casewire:problem:no-such-message");
    }
    problem(world.decides("00009999", id, "arrived").await, 404).await;
    let wrong = problem(world.decides(&case, id, "perhaps").await, 422).await;
    assert_eq!(wrong["errors"][0]["field"], "verdict");
}

#[tokio::test]
async fn nothing_is_sent_again_to_who_opted_out() {
    let world = World::new().await;
    let (case, id) = world.held().await;
    world.text(ANNA, "STOP").await;
    let refused = problem(world.decides(&case, id, "send_again").await, 409).await;
    assert_eq!(refused["type"], "urn:casewire:problem:opted-out");
}
