//! Signatures: what a plain reading of Twilio's rules signs is accepted, and changed in any way it is not. The
//! reference shares nothing with the code under test but the hash function.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use casewire_twilio::content::{Content, Encoding};
use casewire_twilio::signature::{Keyring, Refused, SignedRequest, Signer, UrlRequest, sign_url, verify};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use sha1::{Digest, Sha1};
use url::form_urlencoded;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const JSON: &str = "application/json";

/// One request in six lines (the body may have more), so that seeds can be read and written by hand.
struct Case<'a> {
    method: &'a str,
    host: &'a str,
    prefix: &'a str,
    target: String,
    token: &'a str,
    body: &'a [u8],
}

impl<'a> Case<'a> {
    fn read(raw: &'a [u8]) -> Option<Self> {
        let mut lines = raw.splitn(6, |byte| *byte == b'\n');
        let mut line = || std::str::from_utf8(lines.next()?).ok();
        let (method, host, prefix, path, token) = (line()?, line()?, line()?, line()?, line()?);
        let body = lines.next()?;
        // What a configured public URL and a request line cannot hold, and what nobody signs with.
        let fits = !host.is_empty()
            && !host.contains(['/', '?', '#', '@', ':', ']'])
            && !prefix.contains(['?', '#'])
            && !path.contains("bodySHA256=")
            && !token.is_empty()
            // HMAC fills keys up with zeros: one that ends in them is the same key as without.
            && !token.contains('\0');
        let prefix = prefix.trim_matches('/');
        let target = match method {
            "JSON" => {
                let digest = sha2::Sha256::digest(body);
                let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                let path = path.split('#').next()?;
                format!("/{path}{}bodySHA256={hash}", if path.contains('?') { '&' } else { '?' })
            }
            _ => format!("/{path}"),
        };
        let body = if method == "GET" { &[][..] } else { body };
        fits.then_some(Self { method, host, prefix, target, token, body })
    }

    fn origin(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("https://{}{slash}{}", self.host, self.prefix)
    }

    fn content(&self, body: &[u8]) -> Option<Content> {
        let (method, content_type) = match self.method {
            "GET" => ("GET", ""),
            "JSON" => ("POST", JSON),
            _ => ("POST", FORM),
        };
        Content::read(method, &self.target, content_type, body, 256).ok()
    }

    fn request<'b>(
        &'b self,
        origin: &'b str,
        content: &'b Content,
        body: &'b [u8],
        signature: &'b str,
    ) -> SignedRequest<'b> {
        SignedRequest {
            public_url: origin,
            target: &self.target,
            content,
            body,
            signature: Some(signature),
            settings: None,
        }
    }
}

fuzz_target!(|raw: &[u8]| {
    let Some(case) = Case::read(raw) else { return };
    let Some(content) = case.content(case.body) else { return };
    let origin = case.origin();
    let url = format!("{origin}{}", case.target);
    let url = url.split('#').next().unwrap_or_default();
    let form = if content.encoding == Encoding::Form { case.body } else { b"" };
    let signature = reference(url, form, case.token);
    let [token, other] = [case.token, "another token"].map(SecretString::from);
    let keys = Keyring::new(&[other.clone(), token.clone()], &[]);

    let genuine = case.request(&origin, &content, case.body, &signature);
    let signer = verify(&genuine, &keys).map(|verified| verified.signer);
    let expected = if case.token == "another token" { Signer::Token(0) } else { Signer::Token(1) };
    assert_eq!(signer, Ok(expected), "{url}");
    if expected == Signer::Token(1) {
        assert_eq!(verify(&genuine, &Keyring::new(&[other], &[])), Err(Refused::Mismatch));
    }
    by_hand(&case, url, &signature, &token);

    // One parameter more, a longer body, another path: none is what was signed.
    let mut longer = case.body.to_vec();
    longer.extend(b"&Injected=1");
    if content.encoding != Encoding::Query
        && reference(url, &longer, case.token) != signature
        && let Some(changed) = case.content(&longer)
    {
        assert!(verify(&case.request(&origin, &changed, &longer, &signature), &keys).is_err(), "{url}");
    }
    let elsewhere = format!("{origin}/x");
    assert!(verify(&case.request(&elsewhere, &content, case.body, &signature), &keys).is_err(), "{url}");
});

/// The command for checking by hand signs just so.
fn by_hand(case: &Case<'_>, url: &str, signature: &str, token: &SecretString) {
    let (method, content_type) = match case.method {
        "GET" => ("GET", ""),
        "JSON" => ("POST", JSON),
        _ => ("POST", FORM),
    };
    let request = UrlRequest { url, method, content_type, body: case.body, signature: None, settings: None };
    assert_eq!(sign_url(&request, token).as_deref(), Ok(signature), "{url}");
}

/// What Twilio's documentation says, step by step: the URL, then each name with each of its values, in order.
fn reference(url: &str, form: &[u8], token: &str) -> String {
    let mut values = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, value) in form_urlencoded::parse(form) {
        values.entry(name.into_owned()).or_default().insert(value.into_owned());
    }
    let mut text = url.to_owned();
    for (name, values) in &values {
        values.iter().for_each(|value| text.extend([name.as_str(), value]));
    }
    STANDARD.encode(hmac_sha1(token.as_bytes(), text.as_bytes()))
}

/// RFC 2104.
fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    let hashed = Sha1::digest(key);
    let key = if key.len() > block.len() { hashed.as_slice() } else { key };
    block[..key.len()].copy_from_slice(key);
    let inner = Sha1::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha1::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}
