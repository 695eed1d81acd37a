//! `casewire signature`: for somebody with a request that was refused.

use casewire_domain::directory::Algorithm;
use casewire_testkit::Finished;
use casewire_twilio::signature::body_hash;
use serde::Deserialize;

use crate::kit::{SOON, casewire};

const URL: &str = "https://sms.example.org/inbound/main";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const BODY: &str = "Body=R%26D+%F0%9F%94%A5&From=%2B12065550100";

/// Runs the command on a body.
async fn run(args: &[&str], body: &str) -> Finished {
    let start = casewire(&["signature"]).args(args).stdin(body.as_bytes());
    start.run(SOON).await.unwrap()
}

async fn signed(url: &str, more: &[&str], body: &str) -> String {
    let args = [&["--url", url, "--auth-token", TOKEN, "--sign"], more].concat();
    let ended = run(&args, body).await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1);
    ended.stdout.trim_end().to_owned()
}

#[tokio::test]
async fn a_right_signature_is_valid_whichever_token_made_it() {
    let signature = signed(URL, &[], BODY).await;
    for tokens in [&["--auth-token", TOKEN][..], &["--auth-token", "newer", "--auth-token", TOKEN]] {
        let args = [&["--url", URL, "--signature", &signature], tokens].concat();
        let ended = run(&args, BODY).await;
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(0), "valid\n"));
    }
}

#[tokio::test]
async fn a_wrong_signature_is_explained() {
    let signature = signed(URL, &[], BODY).await;
    let http = URL.replace("https", "http");
    let (slash, query) = (format!("{URL}/"), format!("{URL}?utm=1"));
    let (broken, longer) = (format!("{BODY}\n"), format!("{BODY}&More=1"));
    let cases = [
        (http.as_str(), BODY, "it would match with https"),
        (&slash, BODY, "without the slash at the end of the path"),
        (&query, BODY, "it would match without the query"),
        (URL, &broken, "with the white space around the body removed"),
        (&http, &broken, "it would match with https and with the white space around the body removed"),
        (URL, &longer, "nothing that was tried makes it match"),
    ];
    for (url, body, reason) in cases {
        let ended = run(&["--url", url, "--auth-token", TOKEN, "--signature", &signature], body).await;
        assert_eq!(ended.status.code(), Some(1), "{url}");
        assert!(
            ended.stdout.starts_with("not valid\n- ") && ended.stdout.contains(reason),
            "{}",
            ended.stdout
        );
    }
    // A port that Twilio signed and the URL has not, and the other way round: such a request is valid.
    for (given, made_for) in [
        (URL, "https://sms.example.org:443/inbound/main"),
        ("https://sms.example.org:8443/inbound/main", URL),
    ] {
        let signature = signed(made_for, &[], BODY).await;
        let ended = run(&["--url", given, "--auth-token", TOKEN, "--signature", &signature], BODY).await;
        assert_eq!(ended.status.code(), Some(0), "{given}: {}", ended.stdout);
    }
    let other = run(&["--url", URL, "--auth-token", "another", "--signature", &signature], BODY).await;
    assert!(other.stdout.contains("another account's or no longer live"), "{}", other.stdout);
    let mangled = run(&["--url", URL, "--auth-token", TOKEN, "--signature", "not base64!"], BODY).await;
    assert!(mangled.stdout.contains("the signature is not base64"), "{}", mangled.stdout);
}

#[tokio::test]
async fn json_is_signed_by_the_hash_in_its_url() {
    let body = r#"{"MessageSid":"SM0123456789abcdef0123456789abcdef","Body":"R&D"}"#;
    let without = run(
        &["--url", URL, "--auth-token", TOKEN, "--signature", "eA==", "--content-type", "application/json"],
        body,
    );
    let without = without.await;
    assert!(without.stdout.contains("the URL of a JSON request has no bodySHA256"), "{}", without.stdout);
    let url = format!("{URL}?bodySHA256={}", body_hash(body.as_bytes()));
    let json = ["--content-type", "application/json"];
    let signature = signed(&url, &json, body).await;
    let args = [&["--url", &url, "--auth-token", TOKEN, "--signature", &signature], &json[..]].concat();
    assert_eq!(run(&args, body).await.status.code(), Some(0));
    let changed = run(&args, &body.replace("R&D", "R&B")).await;
    assert_eq!(changed.status.code(), Some(1));
    assert!(
        changed.stdout.contains("bodySHA256 in the URL is not the SHA-256 of the body"),
        "{}",
        changed.stdout
    );
    let ended = run(&args, &format!("{body}\n")).await;
    assert!(ended.stdout.contains("with the white space around the body removed"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_shared_key_is_named_by_the_settings_header() {
    let settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256";
    let with = ["--signature-settings", settings];
    let signature = signed(URL, &with, BODY).await;
    let args = ["--url", URL, "--auth-token", TOKEN, "--signature", &signature];
    assert_eq!(run(&[&args, &with[..]].concat(), BODY).await.status.code(), Some(0));
    let without = run(&args, BODY).await;
    assert_eq!(without.status.code(), Some(1));
    assert!(without.stdout.contains("a shared key made it with HMAC-SHA256"), "{}", without.stdout);
    let unknown = run(&[&args, &["--signature-settings", "algorithm=MD5"][..]].concat(), BODY).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(unknown.stderr.contains("--signature-settings"), "{}", unknown.stderr);
}

#[tokio::test]
async fn what_is_not_given_rightly_is_usage() {
    let token = ["--auth-token", TOKEN];
    for args in [
        &["--url", URL][..],
        &["--url", URL, token[0], token[1]],
        &["--url", URL, token[0], token[1], "--signature", "x", "--sign"],
        &["--url", "sms.example.org/inbound", token[0], token[1], "--signature", "x"],
        &["--url", URL, token[0], token[1], "--sign", "--content-type", "text/plain"],
        &["--signature", "x", token[0], token[1]],
    ] {
        assert_eq!(run(args, BODY).await.status.code(), Some(2), "{args:?}");
    }
}

/// A request that Twilio's own library signed; its generator, beside the file, explains the letters.
#[derive(Deserialize)]
struct Vector {
    m: String,
    o: String,
    t: String,
    #[serde(default)]
    c: String,
    #[serde(default)]
    b: String,
    g: String,
    s: Option<String>,
    k: usize,
}

#[derive(Deserialize)]
struct Keys {
    tokens: Vec<String>,
    shared: Vec<(String, Algorithm, String)>,
}

#[tokio::test]
async fn what_twilios_library_signed_is_valid_and_with_another_body_it_is_not() {
    let mut lines = include_str!("../../../crates/twilio/tests/vectors/signed.jsonl").lines();
    let keys: Keys = serde_json::from_str(lines.next().unwrap()).unwrap();
    for line in lines.step_by(97) {
        let Vector { m, o, t, c, b, g, s, k } = serde_json::from_str(line).unwrap();
        let url = format!("{o}{t}");
        let mut args = vec!["--url", &url, "--method", &m, "--signature", &g];
        args.extend(if c.is_empty() { vec![] } else { vec!["--content-type", &c] });
        match &s {
            Some(settings) => {
                args.extend(["--signature-settings", settings, "--auth-token", &keys.shared[k].2]);
            }
            None => args.extend(keys.tokens.iter().flat_map(|token| ["--auth-token", token.as_str()])),
        }
        let ended = run(&args, &b).await;
        assert_eq!(ended.status.code(), Some(0), "{line}: {}{}", ended.stdout, ended.stderr);
        if m == "POST" && !b.is_empty() {
            let ended = run(&args, &b.replacen(['a', 'e', 'S'], "Q", 1)).await;
            assert_eq!(ended.status.code(), Some(1), "{line}: {}{}", ended.stdout, ended.stderr);
        }
    }
}
