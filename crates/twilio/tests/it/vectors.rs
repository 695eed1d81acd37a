//! Verification against Twilio's own library: 2,000 requests it signed, and as many it refuses.

use casewire_domain::directory::Algorithm;
use casewire_twilio::content::Content;
use casewire_twilio::signature::{self, Keyring, SignedRequest, Signer, UrlRequest};
use secrecy::SecretString;
use serde::Deserialize;

/// Written by `tests/vectors/generate.py`; its letters are explained there.
const FILE: &str = include_str!("../vectors/signed.jsonl");

#[derive(Deserialize)]
struct Header {
    library: String,
    tokens: Vec<SecretString>,
    shared: Vec<(String, Algorithm, SecretString)>,
}

#[derive(Deserialize)]
struct Signed {
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
    x: (char, usize, u8),
}

/// A request as it would arrive, every part in bytes that may be changed.
struct Arrived<'a> {
    signed: &'a Signed,
    target: String,
    body: Vec<u8>,
    signature: String,
}

impl<'a> Arrived<'a> {
    fn as_signed(signed: &'a Signed) -> Self {
        let Signed { t, b, g, .. } = signed;
        Self { signed, target: t.clone(), body: b.clone().into_bytes(), signature: g.clone() }
    }

    fn with_one_byte_changed(signed: &'a Signed) -> Self {
        let changed = |text: &str, offset: usize, byte: u8| {
            let mut bytes = text.as_bytes().to_vec();
            assert_ne!(std::mem::replace(&mut bytes[offset], byte), byte);
            bytes
        };
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let mut arrived = Self::as_signed(signed);
        match signed.x {
            ('b', offset, byte) => arrived.body = changed(&signed.b, offset, byte),
            ('t', offset, byte) => arrived.target = text(changed(&signed.t, offset, byte)),
            ('g', offset, byte) => arrived.signature = text(changed(&signed.g, offset, byte)),
            (other, ..) => panic!("no part {other}"),
        }
        arrived
    }

    /// As ingest verifies, origin and target apart.
    fn verify(&self, keys: &Keyring) -> Result<Signer, String> {
        let Signed { m, o, c, s, .. } = self.signed;
        let content = Content::read(m, &self.target, c, &self.body, 256).map_err(|e| e.to_string())?;
        let request = SignedRequest {
            public_url: o,
            target: &self.target,
            content: &content,
            body: &self.body,
            signature: Some(&self.signature),
            settings: s.as_deref(),
        };
        signature::verify(&request, keys).map(|verified| verified.signer).map_err(|e| e.to_string())
    }

    /// As a person verifies, by the whole URL.
    fn verify_url(&self, keys: &Keyring) -> Result<Signer, String> {
        let Signed { m, o, c, s, .. } = self.signed;
        let request = UrlRequest {
            url: &format!("{o}{}", self.target),
            method: m,
            content_type: c,
            body: &self.body,
            signature: Some(&self.signature),
            settings: s.as_deref(),
        };
        signature::verify_url(&request, keys).map(|verified| verified.signer).map_err(|e| e.to_string())
    }
}

fn vectors() -> (Keyring, Vec<Signed>) {
    let mut lines = FILE.lines();
    let header: Header = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(header.library, "twilio 9.13.0");
    let signed: Vec<Signed> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(signed.len(), 2000);
    (Keyring::new(&header.tokens, &header.shared), signed)
}

#[test]
fn what_the_official_library_signed_is_accepted_and_its_key_named() {
    let (keys, vectors) = vectors();
    for (i, signed) in vectors.iter().enumerate() {
        let key = if signed.s.is_some() { Signer::SharedKey(signed.k) } else { Signer::Token(signed.k) };
        let arrived = Arrived::as_signed(signed);
        assert_eq!(arrived.verify(&keys), Ok(key), "line {}", i + 2);
        assert_eq!(arrived.verify_url(&keys), Ok(key), "line {}", i + 2);
    }
}

#[test]
fn with_one_byte_changed_none_is_accepted() {
    let (keys, vectors) = vectors();
    for (i, signed) in vectors.iter().enumerate() {
        let arrived = Arrived::with_one_byte_changed(signed);
        assert!(arrived.verify(&keys).is_err(), "line {}", i + 2);
        assert!(arrived.verify_url(&keys).is_err(), "line {}", i + 2);
    }
}

#[test]
fn without_its_key_none_is_accepted() {
    let (_, vectors) = vectors();
    let strangers = Keyring::new(&[SecretString::from("another account's")], &[]);
    for (i, signed) in vectors.iter().enumerate() {
        for keys in [&strangers, &Keyring::dummy()] {
            assert!(Arrived::as_signed(signed).verify(keys).is_err(), "line {}", i + 2);
        }
    }
}
