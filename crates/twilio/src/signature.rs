//! `X-Twilio-Signature`: who signed a request, and signing one.
//!
//! The signature is base64 of an HMAC over the URL and, for a form, over every parameter: names in code point
//! order, each followed by its value; a repeated name is repeated with its distinct values in order (as the
//! official Python, Node and PHP libraries have it). A JSON body is covered by `bodySHA256` in the URL.
//! Nothing in it says when: a captured request verifies for ever, so deduplication is the defence against
//! replays. Source: Twilio's "Webhooks security" and the official libraries (python 9.13, node 6.2).

mod keyring;
mod origin;
mod settings;

use casewire_domain::directory::Algorithm;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::content::{self, Content, Encoding};
use crate::parameters::Parameters;

pub use keyring::Keyring;
pub(crate) use keyring::{Key, Slot};
pub(crate) use origin::Origin;
pub use origin::Port;
pub use settings::Malformed as MalformedSettings;
pub(crate) use settings::Settings;

/// The header that carries the signature.
pub const HEADER: &str = "X-Twilio-Signature";
/// The header that names a shared key and its algorithm.
pub const SETTINGS_HEADER: &str = "X-Twilio-Webhooks-Signature-Settings";
/// The query parameter that carries the hash of a JSON body.
pub const BODY_HASH: &str = "bodySHA256";

/// A request as it came, and where the world sees it.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The configured public URL that stands before the target: scheme, host, port where it has one, and path
    /// prefix where a proxy strips one; with or without a slash at its end.
    pub public_url: &'a str,
    /// The raw request target, path and query exactly as received.
    pub target: &'a str,
    /// What was read from the request.
    pub content: &'a Content,
    /// The raw body.
    pub body: &'a [u8],
    /// The value of [`HEADER`].
    pub signature: Option<&'a str>,
    /// The value of [`SETTINGS_HEADER`].
    pub settings: Option<&'a str>,
}

/// A request given by its whole URL, as a person checking by hand has it.
#[derive(Clone, Copy, Debug)]
pub struct UrlRequest<'a> {
    /// The URL as Twilio was told it; a fragment in it does not count.
    pub url: &'a str,
    /// The method, upper case.
    pub method: &'a str,
    /// The `Content-Type`, empty for none.
    pub content_type: &'a str,
    /// The raw body.
    pub body: &'a [u8],
    /// The value of [`HEADER`].
    pub signature: Option<&'a str>,
    /// The value of [`SETTINGS_HEADER`].
    pub settings: Option<&'a str>,
}

/// Whose key signed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signer {
    /// The auth token at this place of the keyring, 0 being the newest.
    Token(usize),
    /// The shared key at this place of the keyring.
    SharedKey(usize),
}

/// What is known of a request that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose key signed it.
    pub signer: Signer,
    /// How the port was written in the URL that was signed.
    pub port: Port,
}

/// Why a request did not verify: for logs and counters, never for the caller, who learns only that it did not.
/// All are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no signature.
    #[error("the request has no signature")]
    NoSignature,
    /// The settings header names what we do not know.
    #[error(transparent)]
    Settings(#[from] MalformedSettings),
    /// A JSON body whose hash is not in the URL: the signature says nothing of it.
    #[error("the URL of a JSON request has no {BODY_HASH}")]
    NoBodyHash,
    /// A JSON body other than the one that was signed.
    #[error("{BODY_HASH} in the URL is not the SHA-256 of the body")]
    BodyHash,
    /// The configured public URL has no scheme or no host.
    #[error("the public URL is not a URL")]
    PublicUrl,
    /// The content cannot be read (only [`verify_url`] reads it).
    #[error(transparent)]
    Content(#[from] content::Error),
    /// No key makes this signature of any URL it may stand for.
    #[error("the signature does not match")]
    Mismatch,
}

/// Says whose key signed a request, if one of these did.
///
/// Tried are the port as configured, left out and by default, and for a GET both spellings of an apostrophe;
/// never another host, scheme or path. All comparisons take constant time.
pub fn verify(request: &SignedRequest<'_>, keys: &Keyring) -> Result<Verified, Refused> {
    let signature = request.signature.filter(|text| !text.is_empty()).ok_or(Refused::NoSignature)?;
    let settings = Settings::parse(request.settings)?;
    check_body_hash(request)?;
    let origin = Origin::parse(request.public_url).ok_or(Refused::PublicUrl)?;
    let prefix = origin.rest.trim_end_matches('/');
    let signed = signed_parameters(request.content);
    for Slot { signer, key } in keys.candidates(settings) {
        for target in origin::targets(request.target, request.content.encoding == Encoding::Query) {
            for (port, written) in origin.ports() {
                let made = key.sign(&[origin.scheme, origin.host, written, prefix, &target, &signed]);
                if made.is(signature)
                    && let Some(signer) = *signer
                {
                    return Ok(Verified { signer, port });
                }
            }
        }
    }
    Err(Refused::Mismatch)
}

/// [`verify`] for a request that is given by its whole URL.
pub fn verify_url(request: &UrlRequest<'_>, keys: &Keyring) -> Result<Verified, Refused> {
    verify(&request.taken_apart(&request.content()?)?, keys)
}

/// Makes the signature that a request given by its whole URL should have, with the algorithm that its settings
/// name. What the URL holds that Twilio does not sign (credentials, fragment) is left out.
pub fn sign_url(request: &UrlRequest<'_>, secret: &SecretString) -> Result<String, Refused> {
    let content = request.content()?;
    let apart = request.taken_apart(&content)?;
    check_body_hash(&apart)?;
    let algorithm = match Settings::parse(request.settings)? {
        Settings::Token => Algorithm::HmacSha1,
        Settings::Shared { algorithm, .. } => algorithm,
    };
    let origin = Origin::parse(apart.public_url).ok_or(Refused::PublicUrl)?;
    let target = apart.target.split('#').next().unwrap_or_default();
    let pieces = [origin.scheme, origin.host, origin.port, target, &signed_parameters(&content)];
    Ok(Key::new(secret.expose_secret(), algorithm).sign(&pieces).into_string())
}

impl<'a> UrlRequest<'a> {
    fn content(&self) -> Result<Content, Refused> {
        Ok(Content::read(self.method, self.url, self.content_type, self.body, usize::MAX)?)
    }

    /// The same request as ingest sees it, origin and target apart.
    fn taken_apart(&self, content: &'a Content) -> Result<SignedRequest<'a>, Refused> {
        let origin = Origin::parse(self.url).ok_or(Refused::PublicUrl)?;
        let (public_url, target) = self.url.split_at(self.url.len() - origin.rest.len());
        let Self { body, signature, settings, .. } = *self;
        Ok(SignedRequest { public_url, target, content, body, signature, settings })
    }
}

/// Signs as Twilio does: the URL exactly as given and, for a form, its parameters (none for GET and JSON).
pub fn sign(url: &str, form: &Parameters, secret: &SecretString, algorithm: Algorithm) -> String {
    Key::new(secret.expose_secret(), algorithm).sign(&[url, &canonical(form)]).into_string()
}

/// The value of [`BODY_HASH`] for a JSON body: its SHA-256 in lower-case hex.
pub fn body_hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the signature covers beside the URL.
fn signed_parameters(content: &Content) -> String {
    match content.encoding {
        Encoding::Form => canonical(&content.parameters),
        Encoding::Query | Encoding::Json => String::new(),
    }
}

/// Parameters in the order they are signed in: by name, then value, each pair once.
pub(crate) fn canonical(parameters: &Parameters) -> String {
    // Bytes of UTF-8 compare as code points do.
    let mut pairs: Vec<_> = parameters.iter().map(|(name, value)| (beginning(name), name, value)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut text = String::with_capacity(pairs.iter().map(|(_, name, value)| name.len() + value.len()).sum());
    for (_, name, value) in pairs {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

/// The first bytes of a name as a number that compares as they do: it tells most names apart without a look at them.
fn beginning(name: &str) -> u64 {
    let mut first = [0; 8];
    let known = name.len().min(first.len());
    first[..known].copy_from_slice(&name.as_bytes()[..known]);
    u64::from_be_bytes(first)
}

/// For JSON the signature covers only the URL; without this check one captured signature would cover any body.
fn check_body_hash(request: &SignedRequest<'_>) -> Result<(), Refused> {
    if request.content.encoding != Encoding::Json {
        return Ok(());
    }
    let mut hashes = body_hashes(request.target).peekable();
    hashes.peek().ok_or(Refused::NoBodyHash)?;
    let hash = body_hash(request.body);
    // Libraries differ on which one counts when there are several; here all must be right.
    if hashes.all(|given| given == hash) { Ok(()) } else { Err(Refused::BodyHash) }
}

/// Every [`BODY_HASH`] in a target's query.
pub(crate) fn body_hashes(target: &str) -> impl Iterator<Item = &str> {
    content::query(target).split('&').filter_map(|pair| pair.strip_prefix(BODY_HASH)?.strip_prefix('='))
}

#[cfg(test)]
mod tests;
