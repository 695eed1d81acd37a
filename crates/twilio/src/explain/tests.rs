use casewire_domain::directory::Algorithm;
use secrecy::SecretString;

use super::*;
use crate::parameters::Parameters;

const TOKEN: &str = "12345";
const FORM: &str = "application/x-www-form-urlencoded";

fn keys() -> Keyring {
    Keyring::new(&[TOKEN.into(), "older".into()], &[])
}

fn form(body: &str) -> Parameters {
    Parameters::parse(body.as_bytes(), 99).unwrap_or_default()
}

fn signed(url: &str, body: &str, token: &str) -> String {
    signature::sign(url, &form(body), &SecretString::from(token), Algorithm::HmacSha1)
}

fn post<'a>(url: &'a str, body: &'a str, signature: &'a str) -> UrlRequest<'a> {
    let body = body.as_bytes();
    UrlRequest { url, method: "POST", content_type: FORM, body, signature: Some(signature), settings: None }
}

/// Signs one request, asks about another, and expects these sentences.
#[track_caller]
fn check(signed_url: &str, signed_body: &str, url: &str, body: &str, expected: &[&str]) {
    let signature = signed(signed_url, signed_body, TOKEN);
    let reasons = explain(&post(url, body, &signature), &keys());
    let sentences: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(sentences, expected, "{url}");
}

const URL: &str = "https://a.example/inbound/main";

#[test]
fn a_valid_request_needs_no_explanation() {
    check(URL, "Body=hi", URL, "Body=hi", &[]);
    check(URL, "Body=hi", "https://a.example:443/inbound/main#rc=5", "Body=hi", &[]);
}

#[test]
fn a_proxy_that_ends_tls_is_recognised() {
    check(URL, "a=b", "http://a.example/inbound/main", "a=b", &["it would match with https"]);
    let http = "http://a.example/inbound/main";
    check(http, "a=b", URL, "a=b", &["it would match with http"]);
    let inner = "http://a.example:8080/inbound/main";
    check(URL, "a=b", inner, "a=b", &["it would match with https and without the port"]);
    let ported = "https://a.example:443/inbound/main";
    check(ported, "a=b", http, "a=b", &["it would match with https and with :443"]);
}

#[test]
fn slashes_and_the_case_of_the_host_are_recognised() {
    let slash = format!("{URL}/");
    check(&slash, "a=b", URL, "a=b", &["it would match with a slash at the end of the path"]);
    check(URL, "a=b", &slash, "a=b", &["it would match without the slash at the end of the path"]);
    check(
        "https://a.example/",
        "",
        "https://a.example",
        "",
        &["it would match with a slash at the end of the path"],
    );
    let upper = "https://A.example/inbound/main";
    check(URL, "a=b", upper, "a=b", &["it would match with the host in lower case"]);
}

#[test]
fn changed_queries_are_recognised() {
    let url = |query: &str| format!("{URL}?{query}");
    check(&url("a=it's"), "x=y", &url("a=it%27s"), "x=y", &["it would match with ' for %27 in the query"]);
    check(&url("a=it%27s"), "x=y", &url("a=it's"), "x=y", &["it would match with %27 for ' in the query"]);
    check(
        &url("a=b c&d=1+1"),
        "",
        &url("a=b%20c%26d%3D1+1"),
        "",
        &["it would match with the query unescaped"],
    );
    check(URL, "x=y", &url("utm=1"), "x=y", &["it would match without the query"]);
}

#[test]
fn white_space_gained_or_lost_is_recognised() {
    let trimmed = "it would match with the white space around the body removed";
    check(URL, "Body=hi&To=1", URL, "Body=hi&To=1\n", &[trimmed]);
    check(URL, "Body=hi+&To=1", URL, "Body=hi&To=1", &["it would match with the body untrimmed"]);
    check(URL, "Body=hi%0A", URL, "Body=hi", &["it would match with the body untrimmed"]);
}

#[test]
fn get_and_post_mixed_up_are_recognised() {
    let as_get = "it would match as a GET, whose signature is over the URL alone";
    check(URL, "", URL, "Body=hi", &[as_get]);
    let signature = signed(URL, "Body=hi", TOKEN);
    let reasons = explain(&UrlRequest { method: "GET", ..post(URL, "Body=hi", &signature) }, &keys());
    let as_form = Reason::WouldMatch { changes: vec![Change::AsForm], signer: Signer::Token(0) };
    let body_on_get = Reason::Refused(Refused::Content(crate::parameters::Malformed::BodyOnGet.into()));
    assert_eq!(reasons, [body_on_get, as_form]);
}

#[test]
fn a_signature_that_cannot_be_one_is_named_so() {
    let reasons = |signature| explain(&post(URL, "a=b", signature), &keys());
    assert_eq!(reasons("no base64!"), [Reason::NotBase64]);
    assert_eq!(reasons("aGVsbG8="), [Reason::WrongLength(5)]);
    assert_eq!(reasons(""), [Reason::Refused(Refused::NoSignature)]);
    assert_eq!(reasons(&signed(URL, "a=b", "stranger")), [Reason::Unexplained]);
}

#[test]
fn the_token_that_would_match_is_named() {
    let signature = signed(URL, "a=b", "older");
    let reasons = explain(&post("http://a.example/inbound/main", "a=b", &signature), &keys());
    let sentences: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(sentences, ["it would match with https, signed with auth token #2"]);
}

#[test]
fn a_json_body_other_than_the_signed_one_is_recognised() {
    let url = format!("{URL}?bodySHA256={}", signature::body_hash(br#"{"a":1}"#));
    let signature = signed(&url, "", TOKEN);
    let reasons = |url: &str, body: &str| {
        let request = UrlRequest { content_type: "application/json", ..post(url, body, &signature) };
        explain(&request, &keys())
    };
    assert_eq!(reasons(&url, r#"{"a":1}"#), []);
    assert_eq!(reasons(&url, r#"{"a":2}"#), [Reason::BodyHash { trimmed: false }]);
    assert_eq!(reasons(&url, "{\"a\":1}\n"), [Reason::BodyHash { trimmed: true }]);
    assert_eq!(reasons(URL, "{}").first(), Some(&Reason::Refused(Refused::NoBodyHash)));
}

#[test]
fn a_missing_or_unneeded_settings_header_is_recognised() -> Result<(), Refused> {
    let secret = SecretString::from("shared");
    let settings = Some("key=k1,algorithm=HMAC_SHA256");
    let keys = Keyring::for_settings(std::slice::from_ref(&secret), settings)?;
    let by_key = signature::sign(URL, &form("a=b"), &secret, Algorithm::HmacSha256);
    let by_token = signature::sign(URL, &form("a=b"), &secret, Algorithm::HmacSha1);
    let with = UrlRequest { settings, ..post(URL, "a=b", &by_key) };
    assert_eq!(explain(&with, &keys), []);
    let without = explain(&post(URL, "a=b", &by_key), &keys);
    assert_eq!(without.first(), Some(&Reason::SettingsMissing));
    let unneeded = explain(&UrlRequest { settings, ..post(URL, "a=b", &by_token) }, &keys);
    let token = Reason::WouldMatch { changes: vec![Change::AuthToken], signer: Signer::Token(0) };
    assert_eq!(unneeded, [token]);
    Ok(())
}
