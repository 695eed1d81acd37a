//! The REST API as Twilio's.

use std::collections::HashSet;

use casewire_simulator::{Account, Config, HandsetDraft, Lifecycle, Line, Simulator, Span};
use serde_json::{Value, json};

use crate::receiver::{Receiver, twiml};
use crate::stand::{ACCOUNT, LINE, PATIENCE, PERSON, Stand, TOKEN, account, http, number, quick};

#[tokio::test]
async fn a_text_is_taken_fetched_and_delivered() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let sent = stand.send(&[("From", LINE), ("To", PERSON), ("Body", "hello")]).await;
    assert_eq!(sent["status"], "queued");
    assert_eq!(sent["direction"], "outbound-api");
    assert_eq!([&sent["from"], &sent["to"], &sent["body"]], [LINE, PERSON, "hello"]);
    assert_eq!(sent["date_sent"], Value::Null);
    assert_eq!([&sent["num_segments"], &sent["num_media"]], ["1", "0"]);
    stand.idle().await;
    assert_eq!(stand.inbox(PERSON), ["hello"]);
    let uri = sent["uri"].as_str().unwrap();
    assert_eq!(
        uri,
        format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}.json", sent["sid"].as_str().unwrap())
    );
    let (status, fetched) = stand.read(uri).await;
    assert_eq!((status, &fetched["status"]), (200, &json!("delivered")));
    let sent_at = fetched["date_sent"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc2822(sent_at).is_ok(), "{sent_at}");
}

#[tokio::test]
async fn the_status_passes_through_the_whole_life_cycle() {
    let step = Span::millis(30, 30);
    let lifecycle = Lifecycle { queued: step, sending: step, sent: step, delivered: step };
    let stand = Stand::start(Config { lifecycle, ..quick() });
    stand.ready().await;
    let sent = stand.send(&[("From", LINE), ("To", PERSON), ("Body", "hello")]).await;
    let uri = sent["uri"].as_str().unwrap();
    let mut seen = vec!["queued".to_owned()];
    while seen.last().is_some_and(|status| status != "delivered") {
        let (_, message) = stand.read(uri).await;
        let status = message["status"].as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
    }
    // A slow machine may not see every one, but none out of order.
    let all = ["queued", "sending", "sent", "delivered"];
    let places: Vec<_> = seen.iter().map(|status| all.iter().position(|s| s == status)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{seen:?}");
}

#[tokio::test]
async fn mistakes_are_refused_in_twilios_shape() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let long = "x".repeat(1_601);
    let emoji = "😀".repeat(801);
    for (form, status, code) in [
        (vec![("From", LINE), ("Body", "x")], 400, 21_604),
        (vec![("From", LINE), ("To", "12345"), ("Body", "x")], 400, 21_211),
        (vec![("From", LINE), ("To", "2065550100"), ("Body", "x")], 400, 21_211),
        (vec![("To", PERSON), ("Body", "x")], 400, 21_603),
        (vec![("From", "!"), ("To", PERSON), ("Body", "x")], 400, 21_212),
        (vec![("From", LINE), ("To", PERSON)], 400, 21_602),
        (vec![("From", LINE), ("To", PERSON), ("Body", &long)], 400, 21_617),
        (vec![("From", LINE), ("To", PERSON), ("Body", &emoji)], 400, 21_617),
        (vec![("From", LINE), ("To", LINE), ("Body", "x")], 400, 21_266),
        (vec![("From", LINE), ("To", PERSON), ("MediaUrl", "no url")], 400, 21_620),
        (
            vec![("From", LINE), ("To", PERSON), ("Body", "x"), ("StatusCallback", "http://a_b.example/")],
            400,
            21_609,
        ),
        (vec![("MessagingServiceSid", "MG1"), ("To", PERSON), ("Body", "x")], 400, 21_703),
        // Twilio's magic numbers.
        (vec![("From", LINE), ("To", "+15005550001"), ("Body", "x")], 400, 21_211),
        (vec![("From", LINE), ("To", "+15005550002"), ("Body", "x")], 400, 21_612),
        (vec![("From", LINE), ("To", "+15005550003"), ("Body", "x")], 400, 21_408),
        (vec![("From", LINE), ("To", "+15005550004"), ("Body", "x")], 400, 21_610),
        (vec![("From", LINE), ("To", "+15005550009"), ("Body", "x")], 400, 21_614),
        (vec![("From", "+15005550001"), ("To", PERSON), ("Body", "x")], 400, 21_212),
        (vec![("From", "+15005550007"), ("To", PERSON), ("Body", "x")], 400, 21_606),
        (vec![("From", "+15005550008"), ("To", PERSON), ("Body", "x")], 400, 21_611),
    ] {
        let (told, body) = stand.refused(&form).await;
        assert_eq!(
            (told, &body["code"], &body["status"]),
            (status, &json!(code), &json!(status)),
            "{form:?}"
        );
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert_eq!(body["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
    }
    let ledger = stand.simulator.ledger();
    assert_eq!((ledger.sends.len(), ledger.refused.get(&21_617)), (0, Some(&2)));
}

#[tokio::test]
async fn requests_that_are_no_form_are_refused() {
    let stand = Stand::start(Config { body_max: 4_096, ..quick() });
    stand.ready().await;
    let post = |kind: &'static str, body: String| {
        let request = stand.client.post(stand.messages()).basic_auth(ACCOUNT, Some(TOKEN));
        async move { request.header("Content-Type", kind).body(body).send().await.unwrap().status().as_u16() }
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(post("application/json", "{}".to_owned()).await, 415);
    assert_eq!(post(form, "Body=%zz".to_owned()).await, 400);
    assert_eq!(post(form, "x".repeat(10_000)).await, 413);
    let put = stand.client.put(stand.messages()).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap();
    assert_eq!(put.status(), 405);
}

#[tokio::test]
async fn any_account_is_let_in_and_one_registered_only_with_its_own_tokens() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let status = async |user: &str, password: &str| {
        let request = stand.client.get(stand.messages()).basic_auth(user, Some(password));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(stand.client.get(stand.messages()).send().await.unwrap().status(), 401);
    assert_eq!(status("AC99999999999999999999999999999999", "x").await, 401);
    assert_eq!(status(ACCOUNT, "first").await, 200);
    assert_eq!(status(ACCOUNT, "second").await, 200);
    let secondary_token = Some("next".into());
    let known = Account { secondary_token, ..Account::with_token("right") };
    stand.simulator.set_account(account(), known);
    assert_eq!(status(ACCOUNT, "wrong").await, 401);
    assert_eq!((status(ACCOUNT, "right").await, status(ACCOUNT, "next").await), (200, 200));
    let (status, body) = stand.read(&format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")).await;
    assert_eq!((status, &body["code"]), (401, &json!(20_003)));
}

#[tokio::test]
async fn the_password_given_signs_the_callbacks() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::start(quick());
    stand.ready().await;
    let callback = receiver.url("/status");
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "x"), ("StatusCallback", &callback)]).await;
    stand.idle().await;
    assert_eq!(receiver.received().len(), 2);
    assert!(receiver.received().iter().all(|request| request.is_signed(&receiver.origin, TOKEN)));
    assert!(!receiver.received()[0].is_signed(&receiver.origin, "another"));
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_deleted_stays_so() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let sent = stand.send(&[("From", LINE), ("To", PERSON), ("Body", "hello")]).await;
    let uri = sent["uri"].as_str().unwrap();
    let delete = async || {
        let request = stand.client.delete(format!("{}{uri}", stand.url)).basic_auth(ACCOUNT, Some(TOKEN));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(delete().await, 204);
    assert_eq!(delete().await, 404);
    let (status, body) = stand.read(uri).await;
    assert_eq!((status, &body["code"]), (404, &json!(20_404)));
    let nowhere = format!("/2010-04-01/Accounts/{ACCOUNT}/Calls.json");
    assert_eq!(stand.read(&nowhere).await.1["code"], 20_404);
    let nobody = format!("/2010-04-01/Accounts/AC{}/Messages.json", "9".repeat(32));
    assert_eq!(stand.read(&nobody).await.0, 401);
    assert_eq!(stand.simulator.ledger().sends.len(), 1, "the ledger forgets nothing");
}

#[tokio::test]
async fn a_list_is_newest_first_and_paged_without_gaps_while_texts_arrive() {
    let stand = Stand::start(quick());
    stand.ready().await;
    for n in 0..25 {
        let body = format!("text {n}");
        stand.send(&[("From", LINE), ("To", PERSON), ("Body", &body)]).await;
    }
    let mut uri = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?PageSize=10&To=%2B12065550100");
    let mut bodies = Vec::new();
    let mut pages = 0;
    loop {
        let (status, page) = stand.read(&uri).await;
        assert_eq!((status, &page["page"], &page["page_size"]), (200, &json!(pages), &json!(10)));
        let messages = page["messages"].as_array().unwrap();
        bodies.extend(messages.iter().map(|message| message["body"].as_str().unwrap().to_owned()));
        pages += 1;
        // What arrives meanwhile is not on later pages, and moves nothing.
        stand.send(&[("From", LINE), ("To", PERSON), ("Body", "late")]).await;
        match page["next_page_uri"].as_str() {
            Some(next) => uri = next.to_owned(),
            None => break,
        }
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("text {n}")).collect();
    assert_eq!((bodies, pages), (expected, 3));
}

#[tokio::test]
async fn a_list_is_filtered_by_numbers_and_by_date() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/")).await;
    stand.send(&[("From", LINE), ("To", PERSON), ("Body", "to the person")]).await;
    stand.send(&[("From", LINE), ("To", "+15005552000"), ("Body", "to another")]).await;
    stand.text("from the person").await;
    stand.idle().await;
    let today = chrono::Utc::now().format("%Y-%m-%d").to_string();
    for (query, expected) in [
        ("", vec!["from the person", "to another", "to the person"]),
        ("?To=%2B12065550100", vec!["to the person"]),
        ("?From=%2B12065550100", vec!["from the person"]),
        ("?From=%2B15550000001&To=%2B15005552000", vec!["to another"]),
        ("?From=%2B15550000009", vec![]),
        (&format!("?DateSent={today}&To=%2B12065550100"), vec!["to the person"]),
        ("?DateSent%3C=2020-01-01", vec![]),
        ("?DateSent>=2020-01-01&From=%2B12065550100", vec!["from the person"]),
    ] {
        let (_, list) = stand.read(&format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json{query}")).await;
        let bodies: Vec<_> = list["messages"].as_array().unwrap().iter().map(|m| &m["body"]).collect();
        assert_eq!(bodies, expected, "{query}");
    }
    let (_, list) =
        stand.read(&format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To=%2B15550000001")).await;
    assert_eq!(list["messages"][0]["direction"], "inbound");
    assert_eq!(list["messages"][0]["status"], "received");
    let bad = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?DateSent=never");
    assert_eq!(stand.read(&bad).await.0, 400);
}

#[tokio::test]
async fn a_messaging_service_chooses_one_of_its_numbers() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::start(quick());
    stand.ready().await;
    let service = "MG00000000000000000000000000000001";
    let mut line = Line::new(number(LINE), account(), receiver.url("/"));
    line.messaging_service_sid = Some(service.to_owned());
    stand.simulator.set_line(Line { auth_token: Some(TOKEN.into()), ..line });
    let callback = receiver.url("/status");
    let sent = stand
        .send(&[
            ("MessagingServiceSid", service),
            ("To", PERSON),
            ("Body", "hello"),
            ("StatusCallback", &callback),
        ])
        .await;
    assert_eq!(sent["status"], "accepted");
    assert_eq!((&sent["from"], &sent["num_segments"]), (&Value::Null, &json!("0")));
    stand.idle().await;
    assert_eq!(stand.read(sent["uri"].as_str().unwrap()).await.1["from"], LINE);
    let mut statuses = receiver.statuses();
    statuses.sort();
    assert_eq!(statuses, ["delivered", "queued", "sent"]);
    assert_eq!(receiver.received()[0].get("MessagingServiceSid"), service);
}

#[tokio::test]
async fn only_known_senders_can_be_asked_for() {
    let stand = Stand::start(Config { only_known_senders: true, ..quick() });
    stand.ready().await;
    let form = [("From", LINE), ("To", PERSON), ("Body", "x")];
    assert_eq!(stand.refused(&form).await.1["code"], 21_606);
    stand.set_line("http://127.0.0.1:9/");
    stand.send(&form).await;
}

#[tokio::test]
async fn mounted_under_a_path_its_links_lead_back_to_it() {
    use actix_web::{App, test, web};
    http();
    let simulator = Simulator::new(quick()).unwrap();
    let scope = web::scope("/simulator/twilio").configure(simulator.rest_routes());
    let control = web::scope("/simulator").configure(simulator.control_routes());
    let app = test::init_service(App::new().service(scope).service(control)).await;
    let list = format!("/simulator/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    let auth = ("Authorization", format!("Basic {}", "QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTp0"));
    for _ in 0..2 {
        let form = [("From", LINE), ("To", PERSON), ("Body", "x")];
        let request = test::TestRequest::post().uri(&list).insert_header(auth.clone()).set_form(form);
        let sent: Value = test::call_and_read_body_json(&app, request.to_request()).await;
        assert!(sent["uri"].as_str().is_some_and(|uri| uri.starts_with("/simulator/twilio/2010-04-01/")));
    }
    let mut uri = format!("{list}?PageSize=1");
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let request = test::TestRequest::get().uri(&uri).insert_header(auth.clone()).to_request();
        let page: Value = test::call_and_read_body_json(&app, request).await;
        seen.insert(page["messages"][0]["sid"].as_str().unwrap().to_owned());
        uri = page["next_page_uri"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!((seen.len(), uri.as_str()), (2, ""));
    let pending = test::TestRequest::get().uri("/simulator/pending").to_request();
    let pending: Value = test::call_and_read_body_json(&app, pending).await;
    assert_eq!(pending["texts"], 2, "nothing moves until it runs");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let sid = async || {
        let stand = Stand::start(quick());
        stand.ready().await;
        stand.send(&[("From", LINE), ("To", PERSON), ("Body", "x")]).await["sid"].clone()
    };
    assert_eq!(sid().await, sid().await);
    let other = Stand::start(Config { seed: None, ..quick() });
    other.ready().await;
    let fresh = other.send(&[("From", LINE), ("To", PERSON), ("Body", "x")]).await["sid"].clone();
    assert_ne!(fresh, sid().await);
}

#[tokio::test]
async fn a_text_to_another_line_of_ours_reaches_its_webhook() {
    let receiver = Receiver::start(|_, _| twiml());
    let stand = Stand::with_line(&receiver.url("/in")).await;
    stand.send(&[("From", "+15550000002"), ("To", LINE), ("Body", "from line to line")]).await;
    stand.idle().await;
    let request = &receiver.received()[0];
    assert_eq!([request.get("From"), request.get("Body")], ["+15550000002", "from line to line"]);
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let stand = Stand::start(quick());
    stand.ready().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let simulator = Simulator::new(quick()).unwrap();
    let served = tokio::spawn({
        let (simulator, shutdown) = (simulator.clone(), shutdown.clone());
        async move { simulator.serve(listener, shutdown).await }
    });
    shutdown.cancel();
    assert!(tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap().is_ok());
    let draft = HandsetDraft::new(number(PERSON), number(LINE), "x");
    assert!(simulator.send_text(draft).await.is_err());
}

#[tokio::test]
async fn a_number_shows_its_webhook_and_takes_another() {
    let stand = Stand::with_line("http://127.0.0.1:9/old").await;
    let list = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
    let (status, found) = stand.read(&format!("{list}?PhoneNumber=%2B15550000001")).await;
    let number = &found["incoming_phone_numbers"][0];
    assert_eq!((status, &number["phone_number"], &number["sms_method"]), (200, &json!(LINE), &json!("POST")));
    assert_eq!(number["sms_url"], "http://127.0.0.1:9/old");
    let (_, none) = stand.read(&format!("{list}?PhoneNumber=%2B15550000002")).await;
    assert_eq!(none["incoming_phone_numbers"], json!([]));

    // What it shows is what Twilio's own description has.
    let described: Value =
        serde_json::from_str(include_str!("../../../twilio/tests/openapi/numbers.json")).unwrap();
    let fields = &described["components"]["schemas"]["api.v2010.account.incoming_phone_number"]["properties"];
    for (name, value) in number.as_object().unwrap() {
        let allowed = &fields[name]["enum"];
        assert!(!fields[name].is_null(), "{name} is not described");
        assert!(allowed.is_null() || allowed.as_array().unwrap().contains(value), "{name} is {value}");
    }

    let uri = number["uri"].as_str().unwrap();
    let change = async |form: &[(&str, &str)]| {
        let request = stand.client.post(format!("{}{uri}", stand.url)).basic_auth(ACCOUNT, Some(TOKEN));
        let answer = request.form(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, changed) =
        change(&[("SmsUrl", "https://desk.example/inbound/main"), ("SmsMethod", "GET")]).await;
    assert_eq!((status, &changed["sid"], &changed["sms_method"]), (200, &number["sid"], &json!("GET")));
    assert_eq!(stand.simulator.lines()[0].webhook_url, "https://desk.example/inbound/main");
    assert_eq!(change(&[("SmsUrl", "nowhere")]).await.0, 400);
    assert_eq!(stand.read(uri).await.1["sms_url"], "https://desk.example/inbound/main");
    let (status, _) = stand.read(&uri.replace("PN", "PX")).await;
    assert_eq!(status, 404);
}
