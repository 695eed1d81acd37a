use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
const PUBLIC: &str = "https://desk.example";
const TARGET: &str = "/inbound/main";
const BODY: &str = "To=%2B12065550199&From=%2B12065550100&Body=my+heater+is+broken&AccountSid=AC1";

fn secrets(tokens: &[&str]) -> Vec<SecretString> {
    tokens.iter().map(|token| SecretString::from(*token)).collect()
}

fn read(method: &str, target: &str, content_type: &str, body: &[u8]) -> Content {
    Content::read(method, target, content_type, body, 256).unwrap_or_else(|error| panic!("{error}"))
}

fn signed(url: &str, content: &Content, token: &str) -> String {
    let key = Key::new(token, Algorithm::HmacSha1);
    key.sign(&[url, &signed_parameters(content)]).into_string()
}

/// A POST of [`BODY`] to [`TARGET`], changed by the caller.
fn request<'a>(content: &'a Content, signature: &'a str) -> SignedRequest<'a> {
    let body = BODY.as_bytes();
    SignedRequest {
        public_url: PUBLIC,
        target: TARGET,
        content,
        body,
        signature: Some(signature),
        settings: None,
    }
}

#[test]
fn twilios_own_documented_example_verifies() {
    // The sample of Twilio's security guide that can be reproduced (token 12345).
    let body =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212";
    let request = UrlRequest {
        url: "https://example.com/myapp.php?foo=1&bar=2",
        method: "POST",
        content_type: FORM,
        body: body.as_bytes(),
        signature: Some("L/OH5YylLD5NRKLltdqwSvS0BnU="),
        settings: None,
    };
    let keys = Keyring::new(&secrets(&["12345"]), &[]);
    let token = Verified { signer: Signer::Token(0), port: Port::AsConfigured };
    assert_eq!(verify_url(&request, &keys), Ok(token));
}

#[test]
fn what_is_signed_by_its_url_verifies_by_its_url() {
    let secret = SecretString::from("t");
    let hash = format!("https://u:p@desk.example/x?{BODY_HASH}={}#rc=5", body_hash(b"{}"));
    let sha256 = Some("key=k1,algorithm=HMAC_SHA256");
    for (method, url, content_type, body, settings) in [
        ("POST", "https://desk.example:8443/x?a=b#rc=5", FORM, "Body=hi", None),
        ("POST", "https://desk.example", FORM, "Body=hi", sha256),
        ("GET", "https://desk.example/x?Body=it's", "", "", None),
        ("POST", &hash, "application/json", "{}", None),
    ] {
        let body = body.as_bytes();
        let unsigned = UrlRequest { url, method, content_type, body, signature: None, settings };
        let signature = sign_url(&unsigned, &secret);
        let signed = UrlRequest { signature: signature.as_deref().ok(), ..unsigned };
        let keys = Keyring::for_settings(std::slice::from_ref(&secret), settings);
        assert!(keys.is_ok_and(|keys| verify_url(&signed, &keys).is_ok()), "{url}");
    }
}

#[test]
fn every_live_token_verifies_and_is_named() {
    let content = read("POST", TARGET, FORM, BODY.as_bytes());
    let keys = Keyring::new(&secrets(&["new", "old"]), &[]);
    for (token, expected) in
        [("new", Ok(Signer::Token(0))), ("old", Ok(Signer::Token(1))), ("stranger's", Err(Refused::Mismatch))]
    {
        let signature = signed("https://desk.example/inbound/main", &content, token);
        let verdict = verify(&request(&content, &signature), &keys);
        assert_eq!(verdict.map(|verified| verified.signer), expected, "{token}");
    }
}

#[test]
fn a_path_prefix_belongs_to_the_signed_url() {
    let content = read("POST", TARGET, FORM, BODY.as_bytes());
    let keys = Keyring::new(&secrets(&["t"]), &[]);
    let signature = signed("https://desk.example/sms/inbound/main", &content, "t");
    for public_url in ["https://desk.example/sms", "https://desk.example/sms/"] {
        let request = SignedRequest { public_url, ..request(&content, &signature) };
        assert!(verify(&request, &keys).is_ok(), "{public_url}");
    }
    assert_eq!(verify(&request(&content, &signature), &keys), Err(Refused::Mismatch));
}

#[test]
fn the_port_may_be_there_or_not_but_never_another() {
    let content = read("POST", TARGET, FORM, BODY.as_bytes());
    let keys = Keyring::new(&secrets(&["t"]), &[]);
    for (public_url, signed_url, expected) in [
        ("https://desk.example", "https://desk.example:443/inbound/main", Ok(Port::Default)),
        ("https://desk.example:8443", "https://desk.example:8443/inbound/main", Ok(Port::AsConfigured)),
        ("https://desk.example:8443", "https://desk.example/inbound/main", Ok(Port::LeftOut)),
        ("https://desk.example:8443", "https://desk.example:9443/inbound/main", Err(Refused::Mismatch)),
        ("https://desk.example", "http://desk.example/inbound/main", Err(Refused::Mismatch)),
        ("https://desk.example", "https://evil.example/inbound/main", Err(Refused::Mismatch)),
    ] {
        let signature = signed(signed_url, &content, "t");
        let request = SignedRequest { public_url, ..request(&content, &signature) };
        assert_eq!(verify(&request, &keys).map(|verified| verified.port), expected, "{signed_url}");
    }
}

#[test]
fn a_get_is_signed_by_its_url_in_either_spelling_of_an_apostrophe() {
    let target = "/inbound/main?Body=it's+on+fire";
    let content = read("GET", target, "", b"");
    let keys = Keyring::new(&secrets(&["t"]), &[]);
    for spelled in [target, "/inbound/main?Body=it%27s+on+fire"] {
        let signature = signed(&format!("{PUBLIC}{spelled}"), &content, "t");
        let request = SignedRequest { target, body: b"", ..request(&content, &signature) };
        assert!(verify(&request, &keys).is_ok(), "{spelled}");
    }
}

#[test]
fn a_json_body_counts_only_with_its_hash_in_the_url() {
    let body = br#"{"MessageSid":"SM1"}"#;
    let keys = Keyring::new(&secrets(&["t"]), &[]);
    let hash = body_hash(body);
    let check = |target: &str, body: &[u8], expected: Result<(), Refused>| {
        let content = read("POST", target, "application/json", body);
        let signature = signed(&format!("{PUBLIC}{target}"), &content, "t");
        let request = SignedRequest { target, body, ..request(&content, &signature) };
        assert_eq!(verify(&request, &keys).map(drop), expected, "{target}");
    };
    let target = format!("/inbound/main?{BODY_HASH}={hash}");
    check(&target, body, Ok(()));
    check(&target, br#"{"MessageSid":"SM2"}"#, Err(Refused::BodyHash));
    check(&format!("{target}&{BODY_HASH}={}", "0".repeat(64)), body, Err(Refused::BodyHash));
    check("/inbound/main", body, Err(Refused::NoBodyHash));
    check(&target.to_uppercase().replace("BODYSHA256", BODY_HASH), body, Err(Refused::BodyHash));
}

#[test]
fn a_shared_key_verifies_only_by_its_own_id_and_algorithm() {
    let content = read("POST", TARGET, FORM, BODY.as_bytes());
    let shared = ("k1".to_owned(), Algorithm::HmacSha256, SecretString::from("shared"));
    let keys = Keyring::new(&secrets(&["token"]), &[shared]);
    let url = "https://desk.example/inbound/main";
    let sha256 = sign(url, &content.parameters, &"shared".into(), Algorithm::HmacSha256);
    let sha1 = sign(url, &content.parameters, &"shared".into(), Algorithm::HmacSha1);
    let token = signed(url, &content, "token");
    for (settings, signature, expected) in [
        (Some("key=k1,algorithm=HMAC_SHA256"), &sha256, Ok(Signer::SharedKey(0))),
        (Some("key=k1,algorithm=HMAC_SHA1"), &sha1, Err(Refused::Mismatch)),
        (Some("key=k2,algorithm=HMAC_SHA256"), &sha256, Err(Refused::Mismatch)),
        (Some("key=k1,algorithm=HMAC_SHA256"), &token, Err(Refused::Mismatch)),
        (Some("key=k1,algorithm=MD5"), &token, Err(MalformedSettings::UnknownAlgorithm.into())),
        (None, &sha256, Err(Refused::Mismatch)),
        (None, &token, Ok(Signer::Token(0))),
        (Some("key=k1"), &token, Ok(Signer::Token(0))),
    ] {
        let request = SignedRequest { settings, ..request(&content, signature) };
        let verdict = verify(&request, &keys).map(|verified| verified.signer);
        assert_eq!(verdict, expected, "{settings:?}");
    }
}

#[test]
fn decoys_empty_tokens_and_missing_signatures_verify_nothing() {
    let content = read("POST", TARGET, FORM, BODY.as_bytes());
    let empty = Keyring::new(&secrets(&[""]), &[("k".into(), Algorithm::HmacSha1, "".into())]);
    for keys in [Keyring::dummy(), empty] {
        for token in ["", "decoy"] {
            let signature = signed("https://desk.example/inbound/main", &content, token);
            for settings in [None, Some("key=k,algorithm=HMAC_SHA1")] {
                let request = SignedRequest { settings, ..request(&content, &signature) };
                assert_eq!(verify(&request, &keys), Err(Refused::Mismatch), "{token}");
            }
        }
        for signature in [None, Some("")] {
            let request = SignedRequest { signature, ..request(&content, "") };
            assert_eq!(verify(&request, &keys), Err(Refused::NoSignature));
        }
    }
}

#[test]
fn a_repeated_name_is_signed_with_its_distinct_values_in_order() {
    let form = Parameters::parse(b"b=2&a=x&b=1&b=2&B=0", 9).map(|form| canonical(&form));
    assert_eq!(form.as_deref(), Ok("B0axb1b2"));
}

#[test]
fn keys_do_not_print() {
    let shared = ("k1".to_owned(), Algorithm::HmacSha1, SecretString::from("s3cret"));
    assert_eq!(format!("{:?}", Keyring::new(&secrets(&["t0ken"]), &[shared])), "[2 keys]");
}

proptest! {
    #[test]
    fn the_order_of_parameters_does_not_matter(
        sent in proptest::collection::vec(("[A-Z][a-z]{0,2}|.{0,3}", ".{0,4}"), 0..12),
        seed in any::<u64>(),
    ) {
        let mut shuffled = sent.clone();
        shuffled.sort_by_cached_key(|pair| {
            body_hash(format!("{seed}{pair:?}").as_bytes())
        });
        // Repeating a pair changes nothing either.
        shuffled.extend(sent.first().cloned());
        let [a, b]: [Parameters; 2] = [sent.iter().cloned().collect(), shuffled.into_iter().collect()];
        prop_assert_eq!(canonical(&a), canonical(&b));
    }

    #[test]
    fn what_is_signed_is_each_name_with_each_of_its_values_in_order(
        sent in proptest::collection::vec(("[A-Za-z]{0,2}|.{0,3}", "[a-c]{0,2}|.{0,4}"), 0..24),
    ) {
        let mut values = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (name, value) in sent.iter() {
            values.entry(name).or_default().insert(value);
        }
        let pairs = values.iter().flat_map(|(name, values)| values.iter().map(move |value| [*name, value]));
        let reference: String = pairs.flatten().collect();
        prop_assert_eq!(canonical(&sent.iter().cloned().collect()), reference);
    }

    #[test]
    fn another_value_is_another_signature(value in ".{0,8}", other in ".{0,8}") {
        prop_assume!(value != other);
        let sign = |value: &str| {
            let form: Parameters = [("Body", value)].into_iter().collect();
            sign(PUBLIC, &form, &"t".into(), Algorithm::HmacSha1)
        };
        prop_assert_ne!(sign(&value), sign(&other));
    }
}
