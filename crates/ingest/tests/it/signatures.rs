//! Who may send: everybody whose signature is over what came, and nobody else.

use anyhow::Result;
use casewire_bus::DirectoryBoard;
use casewire_domain::directory::{Algorithm, Directory, Method, SharedKey};
use casewire_domain::seal::NONCE_LEN;
use casewire_runtime::config::{self, RefusalStatus};
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature::{self, body_hash};
use reqwest::{Method as Verb, StatusCode};
use secrecy::SecretString;

use crate::front::{
    ACCOUNT, Embedded, FORM, Front, PUBLIC_URL, SID, TOKEN, account, line, master_key, raw_post, signed, text,
};

#[tokio::test]
async fn a_bad_signature_an_unknown_line_and_an_inactive_one_are_answered_byte_for_byte_alike() -> Result<()>
{
    let (front, stream) = Front::start().await?;
    let owner = account(1, ACCOUNT, &[TOKEN]);
    let mut asleep = line("asleep", &owner, Method::Post);
    asleep.active = false;
    let lines = vec![line("main", &owner, Method::Post), asleep];
    front.board.publish(&Directory { version: 2, accounts: vec![owner], lines }).await?;

    let form = text(SID, "hi");
    let mut answers = Vec::new();
    for id in ["main", "asleep", "nobody", "%6dain%00", "main%2F"] {
        let target = format!("/inbound/{id}");
        // What would verify, were the line there; and for the line that is there, another's.
        let signature = if id == "main" {
            signed(&target, &form, "another token")
        } else {
            signed(&target, &form, TOKEN)
        };
        let header = format!("{}: {signature}\r\n", signature::HEADER);
        answers.push(front.raw(&raw_post(&target, &header, &form.encode())).await?);
        answers.push(front.raw(&raw_post(&target, "", &form.encode())).await?);
    }
    assert!(answers[0].starts_with("HTTP/1.1 403 Forbidden"), "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(stream.events().await?, []);
    Ok(())
}

#[tokio::test]
async fn the_refusal_may_be_401_by_configuration() -> Result<()> {
    let stream = Embedded::open().await?;
    let settings = config::Ingest { refusal_status: RefusalStatus::Unauthorized, ..Default::default() };
    let front = Front::with(stream.stream.clone(), settings).await?;
    for target in ["/inbound/main", "/inbound/nobody"] {
        let answer = front.post_signed(target, &text(SID, "hi"), "wrong").await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    Ok(())
}

#[tokio::test]
async fn while_a_token_is_rotated_both_sign_and_another_does_not() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let owner = account(1, ACCOUNT, &["the new one", TOKEN]);
    let lines = vec![line("main", &owner, Method::Post)];
    front.board.publish(&Directory { version: 2, accounts: vec![owner], lines }).await?;
    let tokens =
        [("the new one", StatusCode::OK), (TOKEN, StatusCode::OK), ("a third one", StatusCode::FORBIDDEN)];
    for (n, (token, expected)) in tokens.into_iter().enumerate() {
        let form = text(&format!("SM{n:032x}"), "hi");
        let signature = signed("/inbound/main", &form, token);
        assert_eq!(
            front.post_signed("/inbound/main", &form, &signature).await?.status(),
            expected,
            "{token}"
        );
    }
    assert_eq!(stream.events().await?.len(), 2);
    // Whoever rotates sees which of them still signs.
    let signed = |key: &str| front.metric(&format!("casewire_webhook_signature_keys_total{{key=\"{key}\"}}"));
    assert_eq!((signed("newest_token")?, signed("older_token")?), ("1".to_owned(), "1".to_owned()));
    assert_eq!(signed("shared_key")?, "0");
    Ok(())
}

#[tokio::test]
async fn a_shared_key_signs_under_its_own_id_and_algorithm_only() -> Result<()> {
    let (front, _stream) = Front::start().await?;
    let mut owner = account(1, ACCOUNT, &[TOKEN]);
    let secret = master_key().seal("shared secret", &owner.id.to_string(), [9; NONCE_LEN]);
    owner.shared_keys =
        vec![SharedKey { key_id: "SK1".to_owned(), algorithm: Algorithm::HmacSha256, secret }];
    let lines = vec![line("main", &owner, Method::Post)];
    front.board.publish(&Directory { version: 2, accounts: vec![owner], lines }).await?;
    let form = text(SID, "hi");
    let url = format!("{PUBLIC_URL}/inbound/main");
    for (settings, algorithm, expected) in [
        ("key=SK1,algorithm=HMAC_SHA256", Algorithm::HmacSha256, StatusCode::OK),
        ("key=SK2,algorithm=HMAC_SHA256", Algorithm::HmacSha256, StatusCode::FORBIDDEN),
        ("key=SK1,algorithm=HMAC_SHA1", Algorithm::HmacSha1, StatusCode::FORBIDDEN),
    ] {
        let signature = signature::sign(&url, &form, &SecretString::from("shared secret"), algorithm);
        let request = front.request(Verb::POST, "/inbound/main").header("content-type", FORM);
        let request =
            request.header(signature::SETTINGS_HEADER, settings).header(signature::HEADER, signature);
        assert_eq!(request.body(form.encode()).send().await?.status(), expected, "{settings}");
    }
    assert_eq!(front.metric("casewire_webhook_signature_keys_total{key=\"shared_key\"}")?, "1");
    Ok(())
}

#[tokio::test]
async fn the_signature_is_over_the_public_url_and_the_raw_target_whatever_headers_say() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let targets = [
        "/inbound/main?a=%2f%2F&b='&c=%27&d=a+b%20c&&e",
        "/inbound/main?",
        "/inbound/main?x=/../y/./z",
        "/inbound/%6d%61in",
        "/inbound/main?next=https://a@b:443/c",
    ];
    for (n, target) in targets.into_iter().enumerate() {
        let form = text(&format!("SM{n:032x}"), "hi");
        let headers = format!(
            "{}: {}\r\nx-forwarded-host: evil.example\r\nx-forwarded-proto: http\r\nforwarded: host=evil.example\r\n",
            signature::HEADER,
            signed(target, &form, TOKEN)
        );
        let answer = front.raw(&raw_post(target, &headers, &form.encode())).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
    }
    let kept: Vec<_> = stream.events().await?.into_iter().map(|event| event.target).collect();
    assert_eq!(kept, targets);
    Ok(())
}

#[tokio::test]
async fn json_is_signed_by_the_hash_of_its_body_in_the_url() -> Result<()> {
    let (front, stream) = Front::start().await?;
    let body = format!(r#"{{"MessageSid":"{SID}","From":"+12065550100","Body":"hi"}}"#);
    let with_hash = format!("/inbound/main?bodySHA256={}", body_hash(body.as_bytes()));
    let other = body.replace("hi", "send money");
    for (target, body, expected) in [
        (with_hash.as_str(), &other, StatusCode::FORBIDDEN),
        ("/inbound/main", &body, StatusCode::FORBIDDEN),
        (with_hash.as_str(), &body, StatusCode::OK),
    ] {
        let signature = signed(target, &Parameters::default(), TOKEN);
        let request =
            front.request(Verb::POST, target).header("content-type", "application/json; charset=utf-8");
        let answer = request.header(signature::HEADER, signature).body(body.clone()).send().await?;
        assert_eq!(answer.status(), expected, "{target}");
    }
    let events = stream.events().await?;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].dedupe_id.as_str(), format!("i:{ACCOUNT}:{SID}"));
    assert_eq!(events[0].body, body.into_bytes());
    Ok(())
}
