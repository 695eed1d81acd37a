//! What is accepted, and what is then on the stream.

use anyhow::Result;
use casewire_bus::DirectoryBoard;
use casewire_domain::directory::{Directory, Method};
use casewire_domain::{EventKind, Source};
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature;
use reqwest::{Method as Verb, StatusCode};

use crate::front::{ACCOUNT, FORM, Front, SID, TOKEN, account, line, signed, text};

#[tokio::test]
async fn a_signed_text_is_answered_with_empty_twiml_and_is_on_the_stream_as_it_came() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let before = chrono::Utc::now();
    let form = text(SID, "R&D: 50% + a=b 🔥 שלום");
    let answer = front.post("/inbound/main", &form).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/xml; charset=utf-8");
    assert_eq!(answer.text().await?, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>");

    let events = stream.events().await?;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event.dedupe_id.as_str(), format!("i:{ACCOUNT}:{SID}"));
    assert_eq!((event.kind, event.source), (EventKind::Message, Source::Webhook));
    assert_eq!((event.line.as_str(), event.method.as_str()), ("main", "POST"));
    assert_eq!((event.target.as_str(), event.content_type.as_str()), ("/inbound/main", FORM));
    assert_eq!(event.body, form.encode().into_bytes());
    assert!(before <= event.received_at && event.received_at <= chrono::Utc::now());
    Ok(())
}

#[tokio::test]
async fn a_delivery_callback_is_answered_with_nothing_and_keeps_our_ids_in_its_target() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let status = |state: &str| -> Parameters {
        [("MessageSid", SID), ("MessageStatus", state), ("To", "+12065550100")].into_iter().collect()
    };
    let ours = "/inbound/main/status/0192f0c0a0b07000800000000000000a.2";
    for (target, state) in [(ours, "sent"), ("/inbound/main/status", "delivered")] {
        let answer = front.post(target, &status(state)).await?;
        assert_eq!((answer.status(), answer.content_length()), (StatusCode::NO_CONTENT, Some(0)));
    }
    let events = stream.events().await?;
    let [sent, delivered] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((sent.kind, sent.target.as_str()), (EventKind::MessageStatus, ours));
    assert_eq!(sent.dedupe_id.as_str(), format!("s:{ACCOUNT}:{SID}:sent:"));
    assert_eq!(delivered.dedupe_id.as_str(), format!("s:{ACCOUNT}:{SID}:delivered:"));
    Ok(())
}

#[tokio::test]
async fn one_text_sent_fifty_times_by_sixteen_clients_is_one_event_and_fifty_successes() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let front = std::sync::Arc::new(front);
    let clients = (0..16).map(|client| {
        let front = front.clone();
        tokio::spawn(async move {
            let mut statuses = Vec::new();
            for _ in (client..50).step_by(16) {
                statuses.push(front.post("/inbound/main", &text(SID, "hello")).await?.status());
            }
            anyhow::Ok(statuses)
        })
    });
    let mut statuses = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        statuses.extend(client.await??);
    }
    assert_eq!(statuses, [StatusCode::OK; 50]);
    assert_eq!(stream.events().await?.len(), 1);
    let count = |outcome| {
        front.metric(&format!("casewire_webhook_requests_total{{kind=\"inbound\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!((count("accepted")?.as_str(), count("duplicate")?.as_str()), ("1", "49"));
    Ok(())
}

#[tokio::test]
async fn a_text_without_a_usable_sid_is_stored_once_for_the_worker_to_judge() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let without: Parameters = [("From", "+12065550100"), ("Body", "who am I")].into_iter().collect();
    for form in [&without, &text("SM1", "malformed"), &without] {
        assert_eq!(front.post("/inbound/main", form).await?.status(), StatusCode::OK);
    }
    let events = stream.events().await?;
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(|event| event.dedupe_id.as_str().starts_with("h:")));
    Ok(())
}

#[tokio::test]
async fn each_line_takes_its_methods_and_names_them_to_those_who_can_sign() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let owner = account(1, ACCOUNT, &[TOKEN]);
    let lines = [("main", Method::Post), ("by-get", Method::Get), ("by-any", Method::Any)];
    let lines = lines.map(|(id, method)| line(id, &owner, method)).to_vec();
    front.board.publish(&Directory { version: 2, accounts: vec![owner], lines }).await?;

    let query = text(SID, "it's 5 o'clock").encode();
    let none = Parameters::default();
    for (verb, path, expected, allow) in [
        (Verb::GET, "/inbound/main", StatusCode::METHOD_NOT_ALLOWED, Some("POST")),
        (Verb::GET, "/inbound/unknown", StatusCode::FORBIDDEN, None),
        (Verb::GET, "/inbound/by-get", StatusCode::OK, None),
        (Verb::GET, "/inbound/by-any", StatusCode::OK, None),
        (Verb::POST, "/inbound/by-get", StatusCode::METHOD_NOT_ALLOWED, Some("GET")),
        (Verb::PUT, "/inbound/by-any", StatusCode::METHOD_NOT_ALLOWED, Some("GET, POST")),
        (Verb::HEAD, "/inbound/by-get", StatusCode::METHOD_NOT_ALLOWED, Some("GET")),
        (Verb::GET, "/inbound/main/status", StatusCode::METHOD_NOT_ALLOWED, Some("POST")),
    ] {
        let target = format!("{path}?{query}");
        let signature = signed(&target, &none, TOKEN);
        let answer = front.request(verb.clone(), &target).header(signature::HEADER, signature).send().await?;
        let allowed = answer.headers().get("allow").map(|value| value.to_str()).transpose()?;
        assert_eq!((answer.status(), allowed), (expected, allow), "{verb} {path}");
    }
    assert_eq!(stream.events().await?.len(), 1, "the second GET had the same SID");
    Ok(())
}

#[tokio::test]
async fn no_method_tells_a_stranger_which_lines_there_are() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let owner = account(1, ACCOUNT, &[TOKEN]);
    let lines = vec![line("main", &owner, Method::Post), line("by-get", &owner, Method::Get)];
    front.board.publish(&Directory { version: 2, accounts: vec![owner], lines }).await?;
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let mut answers = Vec::new();
        for id in ["main", "by-get", "nobody"] {
            let request = format!("{method} /inbound/{id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            answers.push(front.raw(request.as_bytes()).await?);
        }
        assert!(answers[0].starts_with("HTTP/1.1 403"), "{method}: {}", answers[0]);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{method}: {answers:#?}");
    }
    assert_eq!(stream.events().await?, []);
    Ok(())
}

#[tokio::test]
async fn other_paths_are_not_there() -> Result<()> {
    let (front, _stream) = Front::start().await?;
    for target in
        ["/", "/inbound", "/inbound/main/", "/inbound/main/other", "/inbound/main/status/none", "/metrics"]
    {
        assert_eq!(front.post(target, &text(SID, "hi")).await?.status(), StatusCode::NOT_FOUND, "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn every_answer_is_counted_and_no_count_begins_with_a_gap() -> Result<()> {
    let (front, _stream) = Front::start().await?;
    let count = |kind, outcome| {
        front.metric(&format!("casewire_webhook_requests_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}"))
    };
    for outcome in [
        "accepted",
        "duplicate",
        "spilled",
        "rejected_signature",
        "rejected_invalid",
        "overloaded",
        "publish_failed",
        "error",
    ] {
        assert_eq!((count("inbound", outcome)?, count("status", outcome)?), ("0".into(), "0".into()));
    }
    front.post("/inbound/main", &text(SID, "hi")).await?;
    front.post_signed("/inbound/main", &text(SID, "hi"), "wrong").await?;
    front.request(Verb::POST, "/inbound/main/status").body("no form").send().await?;
    assert_eq!(count("inbound", "accepted")?, "1");
    assert_eq!(count("inbound", "rejected_signature")?, "1");
    assert_eq!(count("status", "rejected_invalid")?, "1");
    let took = "casewire_webhook_request_duration_seconds_count{kind=\"inbound\",outcome=\"accepted\"}";
    assert_eq!(front.metric(took)?, "1");
    assert_eq!(front.metric("casewire_publish_ack_duration_seconds_count{stream=\"IN_0\"}")?, "1");
    assert_eq!(front.metric("casewire_publish_failures_total{stream=\"IN_0\",reason=\"timeout\"}")?, "0");
    Ok(())
}
