//! Each fault does what it says, and the ledger tells what was really accepted.

use std::time::Duration;

use casewire_simulator::{Answered, Config, FailedStatus, Fault, HandsetDraft, Rule, Status};
use serde_json::json;

use crate::receiver::{Receiver, tell, twiml};
use crate::stand::{LINE, PATIENCE, PERSON, Stand, number, quick};

const FORM: [(&str, &str); 3] = [("From", LINE), ("To", PERSON), ("Body", "hello")];

async fn stand_with(fault: Fault) -> Stand {
    let stand = Stand::start(quick());
    stand.ready().await;
    stand.faults(vec![Rule::next(1, fault)]);
    stand
}

/// After a fault that accepted, the person has the text once and a second send is as usual.
async fn accepted_once(stand: &Stand, answered: Answered) {
    stand.idle().await;
    assert_eq!(stand.inbox(PERSON), ["hello"]);
    stand.send(&FORM).await;
    let told: Vec<_> = stand.simulator.ledger().sends.iter().map(|send| send.answered).collect();
    assert_eq!(told, [answered, Answered::Created]);
    assert_eq!(stand.simulator.faults()[0].happened, 1);
}

/// After a fault that did not accept, nobody has anything and a second send is as usual.
async fn not_accepted(stand: &Stand, code: u32) {
    assert_eq!(stand.simulator.ledger().sends.len(), 0);
    stand.send(&FORM).await;
    stand.idle().await;
    assert_eq!(stand.inbox(PERSON), ["hello"]);
    assert_eq!(stand.simulator.ledger().refused.get(&code), Some(&1));
}

#[tokio::test]
async fn too_many_requests_with_and_without_retry_after() {
    for seconds in [None, Some(3)] {
        let stand = stand_with(Fault::TooManyRequests { retry_after_s: seconds }).await;
        let answer = stand.post(&FORM).await.unwrap();
        assert_eq!(answer.status(), 429);
        let told = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
        assert_eq!(told, seconds);
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], 20_429);
        not_accepted(&stand, 20_429).await;
    }
}

#[tokio::test]
async fn errors_and_refusals_before_accepting() {
    for (fault, status, code) in [
        (Fault::ErrorBeforeAccepting, 500, 20_500),
        (Fault::OptedOut, 400, 21_610),
        (Fault::Refuse { status: 401, code: 20_003 }, 401, 20_003),
    ] {
        let stand = stand_with(fault).await;
        let (told, body) = stand.refused(&FORM).await;
        assert_eq!((told, &body["code"]), (status, &json!(code)));
        not_accepted(&stand, code).await;
    }
}

#[tokio::test]
async fn an_error_after_accepting() {
    let stand = stand_with(Fault::ErrorAfterAccepting).await;
    let (status, body) = stand.refused(&FORM).await;
    assert_eq!((status, &body["code"]), (500, &json!(20_500)));
    accepted_once(&stand, Answered::Error).await;
}

#[tokio::test]
async fn a_hang_after_accepting_ends_without_an_answer() {
    let stand = Stand::start(Config { hang: Duration::from_millis(400), ..quick() });
    stand.ready().await;
    stand.faults(vec![Rule::next(1, Fault::HangAfterAccepting)]);
    let started = tokio::time::Instant::now();
    let error = stand.post(&FORM).await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    assert!(started.elapsed() >= Duration::from_millis(400));
    accepted_once(&stand, Answered::Hung).await;
}

#[tokio::test]
async fn a_reset_after_accepting_leaves_no_byte_of_an_answer() {
    let stand = stand_with(Fault::ResetAfterAccepting).await;
    let error = stand.post(&FORM).await.unwrap_err();
    assert!(error.is_request() && !error.is_connect() && !error.is_timeout(), "{error:?}");
    accepted_once(&stand, Answered::Reset).await;
}

#[tokio::test]
async fn a_truncated_answer_breaks_off_and_a_garbled_one_does_not() {
    let stand = stand_with(Fault::TruncatedAnswer).await;
    let answer = stand.post(&FORM).await.unwrap();
    assert_eq!(answer.status(), 201);
    assert!(answer.bytes().await.is_err());
    accepted_once(&stand, Answered::Truncated).await;

    let stand = stand_with(Fault::GarbledAnswer).await;
    let answer = stand.post(&FORM).await.unwrap();
    assert_eq!(answer.status(), 201);
    let body = answer.bytes().await.unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_err());
    accepted_once(&stand, Answered::Garbled).await;
}

#[tokio::test]
async fn a_callback_may_come_before_the_answer() {
    let receiver = Receiver::start(|_, _| tell(204));
    let stand = stand_with(Fault::CallbackBeforeAnswer).await;
    let callback = receiver.url("/");
    let sent =
        stand.send(&[("From", LINE), ("To", PERSON), ("Body", "hello"), ("StatusCallback", &callback)]).await;
    let first = receiver.received().into_iter().next().map(|request| request.get("MessageSid"));
    assert_eq!(first.as_deref(), sent["sid"].as_str());
    stand.idle().await;
    assert_eq!(receiver.statuses(), ["sent", "delivered"]);
}

#[tokio::test]
async fn a_text_may_be_made_to_fail() {
    let receiver = Receiver::start(|_, _| tell(204));
    let stand = stand_with(Fault::FailDelivery { status: FailedStatus::Undelivered, code: 30_008 }).await;
    let callback = receiver.url("/");
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "x"), ("StatusCallback", &callback)]).await;
    stand.idle().await;
    assert_eq!(receiver.received()[1].get("ErrorCode"), "30008");
    assert_eq!(stand.inbox(PERSON), [""; 0]);
}

/// Sends one text under rules about callbacks; the statuses as they arrived.
async fn callbacks_under(rules: Vec<Rule>) -> (Vec<String>, Stand) {
    let receiver = Receiver::start(|_, _| tell(204));
    let stand = Stand::start(quick());
    stand.ready().await;
    stand.faults(rules);
    let callback = receiver.url("/");
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "x"), ("StatusCallback", &callback)]).await;
    stand.idle().await;
    (receiver.statuses(), stand)
}

#[tokio::test]
async fn callbacks_may_be_duplicated() {
    let (mut statuses, _) =
        callbacks_under(vec![Rule::always(Fault::DuplicateCallbacks { copies: 2 })]).await;
    statuses.sort();
    assert_eq!(statuses, ["delivered", "delivered", "delivered", "sent", "sent", "sent"]);
}

#[tokio::test]
async fn callbacks_may_be_reordered() {
    let (statuses, _) = callbacks_under(vec![Rule::always(Fault::ReorderCallbacks)]).await;
    assert_eq!(statuses, ["delivered", "sent"]);
}

#[tokio::test]
async fn callbacks_may_be_dropped_by_status() {
    let mut rule = Rule::always(Fault::DropCallbacks);
    rule.statuses = vec![Status::Delivered];
    let (statuses, stand) = callbacks_under(vec![rule]).await;
    assert_eq!(statuses, ["sent"]);
    assert_eq!(stand.simulator.ledger().callbacks.dropped, 1);
}

#[tokio::test]
async fn a_held_callback_is_not_lost_with_a_dropped_one() {
    let mut drop_last = Rule::always(Fault::DropCallbacks);
    drop_last.statuses = vec![Status::Delivered];
    let rules = vec![Rule::always(Fault::ReorderCallbacks), drop_last];
    assert_eq!(callbacks_under(rules).await.0, ["sent"]);
}

#[tokio::test]
async fn callbacks_may_be_late() {
    let mut rule = Rule::always(Fault::DelayCallbacks { min_ms: 300, max_ms: 300 });
    rule.statuses = vec![Status::Sent];
    assert_eq!(callbacks_under(vec![rule]).await.0, ["delivered", "sent"]);
}

#[tokio::test]
async fn webhooks_may_be_duplicated() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/")).await;
    stand.faults(vec![Rule::next(1, Fault::DuplicateWebhooks { copies: 3 })]);
    let sent = stand.text("many").await;
    assert_eq!((sent.webhooks.len(), receiver.received().len()), (4, 4));
    let sids: Vec<_> = receiver.received().iter().map(|request| request.get("MessageSid")).collect();
    assert!(sids.iter().all(|sid| *sid == sent.sid.to_string()));
    assert_eq!(stand.simulator.ledger().texts[0].webhooks.len(), 4);
}

#[tokio::test]
async fn a_fault_may_be_for_one_number_alone() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let mut rule = Rule::always(Fault::ErrorBeforeAccepting);
    rule.to = Some(number(PERSON));
    stand.faults(vec![rule]);
    assert_eq!(stand.refused(&FORM).await.0, 500);
    stand.send(&[("From", LINE), ("To", "+12065550199"), ("Body", "x")]).await;
}

#[tokio::test]
async fn a_share_of_texts_meets_a_fault_the_same_in_every_run_of_a_seed() {
    let run = async || {
        let stand = Stand::start(quick());
        stand.ready().await;
        stand.faults(vec![Rule::sometimes(0.5, Fault::TooManyRequests { retry_after_s: None })]);
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(stand.post(&FORM).await.unwrap().status().as_u16());
        }
        statuses
    };
    let first = run().await;
    let refused = first.iter().filter(|status| **status == 429).count();
    assert!((8..=32).contains(&refused), "{refused}");
    assert_eq!(run().await, first);
}

#[tokio::test]
async fn a_hanging_request_does_not_hold_the_end_up() {
    let stand = Stand::start(Config { hang: Duration::from_secs(600), ..quick() });
    stand.ready().await;
    stand.faults(vec![Rule::always(Fault::HangAfterAccepting)]);
    let (client, url) = (stand.client.clone(), stand.messages());
    let hanging = tokio::spawn(async move {
        let request = client.post(url).basic_auth(crate::stand::ACCOUNT, Some("x"));
        request.form(&FORM).send().await.is_err()
    });
    let person = number(PERSON);
    let arrived = stand.simulator.wait_for_text(&person, |text| text.body.reveal() == "hello", PATIENCE);
    assert!(arrived.await.is_some());
    drop(stand);
    assert!(tokio::time::timeout(PATIENCE, hanging).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_text_waited_for_may_come_later_or_never() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let person = number(PERSON);
    let later = stand.simulator.wait_for_text(&person, |text| text.body.reveal() == "second", PATIENCE);
    let (found, ()) = tokio::join!(later, async {
        for body in ["first", "second"] {
            stand.send(&[("From", LINE), ("To", PERSON), ("Body", body)]).await;
        }
    });
    assert_eq!(found.map(|text| text.line), Some(number(LINE)));
    let never = stand.simulator.wait_for_text(&person, |_| false, Duration::from_millis(50)).await;
    assert!(never.is_none());
    assert!(stand.simulator.send_text(HandsetDraft::new(person, number(LINE), "x")).await.is_err());
}

async fn on_the_list(stand: &Stand) -> Vec<String> {
    let uri = format!("/2010-04-01/Accounts/{}/Messages.json?To=%2B12065550100", crate::stand::account());
    let (status, page) = stand.read(&uri).await;
    assert_eq!(status, 200);
    let messages = page["messages"].as_array().unwrap().iter();
    messages.map(|message| message["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_text_may_come_late_on_lists_or_never() {
    let stand = Stand::start(quick());
    stand.ready().await;
    stand.faults(vec![
        Rule::next(1, Fault::LateOnList { after_ms: 300 }),
        Rule::next(1, Fault::MissingFromList),
    ]);
    for body in ["late", "never", "at once"] {
        stand.send(&[("From", LINE), ("To", PERSON), ("Body", body)]).await;
    }
    assert_eq!(on_the_list(&stand).await, ["at once"]);
    let came = async {
        while on_the_list(&stand).await != ["at once", "late"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, came).await.unwrap();
}

#[tokio::test]
async fn a_list_may_be_refused_or_fail() {
    let stand = Stand::start(quick());
    stand.ready().await;
    for (fault, status, code) in [
        (Fault::ListTooManyRequests { retry_after_s: Some(2) }, 429, 20_429),
        (Fault::ListError, 500, 20_500),
    ] {
        stand.faults(vec![Rule::next(1, fault)]);
        let uri = format!("/2010-04-01/Accounts/{}/Messages.json", crate::stand::account());
        let (told, body) = stand.read(&uri).await;
        assert_eq!((told, &body["code"]), (status, &json!(code)));
        assert!(on_the_list(&stand).await.is_empty());
    }
}
