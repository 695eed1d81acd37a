//! A text of which Twilio does not tell whether it was sent: a person decides, in the terminal.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::kit::{Desk, Home, Page, Up, texts};

#[tokio::test]
async fn a_text_that_nobody_can_tell_of_is_decided_about_in_the_terminal() {
    let home = Home::new();
    let looks = ["FIRST", "SECOND", "LAST"].map(|look| format!("CASEWIRE_SENDER__SETTLE_{look}"));
    let up = looks.iter().fold(home.up(), |up, name| up.env(name, "100ms"));
    let up = Up::ready(up.env("CASEWIRE_SENDER__SETTLE_POLL", "100ms").spawn().unwrap()).await;
    let page = Page::open(&up.base, &up.link).await;
    let desk = Desk::new(&up.base, &home.run(&["token", "create", "--name", "laptop"]).await);
    let rules = json!({ "rules": [{ "fault": "error_before_accepting", "next": 1 }] });
    let set = page.put("/simulator/faults").json(&rules).send().await.unwrap();
    assert_eq!(set.status(), StatusCode::OK);
    page.text("+12065550100", "my heater is broken").await;
    let held = |case: &Value| texts(case, "outbound").any(|text| text["held"] == true);
    let case = desk.case_when("00001001", "the answer is held", held).await;
    let id = case["messages"][1]["id"].as_str().unwrap().to_owned();

    let shown = home.run(&["case", "show", "00001001"]).await;
    assert!(shown.contains(&format!("casewire case resolve 00001001 {id}")), "{shown}");
    let said = home.run(&["case", "resolve", "00001001", &id, "send-again"]).await;
    assert_eq!(said.trim_end(), "it is queued to be sent again.");
    page.arrived("+12065550100", "case number").await;
    let said = home.refused(&["case", "resolve", "00001001", &id, "arrived"]).await;
    assert!(said.contains("the text is not held, or not any more"), "{said}");
    up.stop().await;
}
