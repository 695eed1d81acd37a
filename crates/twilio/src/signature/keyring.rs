//! The keys that may have signed a request, each with its HMAC key schedule computed once.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use casewire_domain::directory::Algorithm;
use hmac::digest::common::Key as Block;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Signer;
use super::settings::{Malformed, Settings};

/// An account's live auth tokens and shared keys. `Debug` tells only how many.
///
/// Refusing always tries at least [`Keyring::TOKENS_TRIED`] tokens, decoys filling up, so that a line that
/// does not exist ([`Keyring::dummy`]) cannot be told by its time from one whose signature is wrong.
#[derive(Clone)]
pub struct Keyring {
    tokens: Vec<Slot>,
    shared: Vec<Shared>,
    /// Stand in for a shared key that is not ours.
    strangers: [Slot; 2],
}

#[derive(Clone)]
struct Shared {
    id: String,
    algorithm: Algorithm,
    slots: Vec<Slot>,
}

/// A key and whose it is. Nobody owns a decoy: what matches it is refused all the same.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) signer: Option<Signer>,
    pub(crate) key: Key,
}

impl Slot {
    fn new(signer: Signer, secret: &SecretString, algorithm: Algorithm) -> Self {
        let secret = secret.expose_secret();
        Self { signer: (!secret.is_empty()).then_some(signer), key: Key::new(secret, algorithm) }
    }

    fn decoy(algorithm: Algorithm) -> Self {
        Self { signer: None, key: Key::new("decoy", algorithm) }
    }
}

impl Keyring {
    /// How many tokens a refusal tries at least: the newest and, while a token is rotated, the one before.
    pub const TOKENS_TRIED: usize = 2;

    /// A keyring of live auth tokens, newest first, and shared keys (id, algorithm, secret). An empty secret
    /// never verifies: everybody could sign with it.
    pub fn new(tokens: &[SecretString], shared: &[(String, Algorithm, SecretString)]) -> Self {
        let mut slots: Vec<_> = (0..)
            .zip(tokens)
            .map(|(i, token)| Slot::new(Signer::Token(i), token, Algorithm::HmacSha1))
            .collect();
        slots.resize(slots.len().max(Self::TOKENS_TRIED), Slot::decoy(Algorithm::HmacSha1));
        let mut groups: Vec<Shared> = Vec::new();
        for (i, (id, algorithm, secret)) in (0..).zip(shared) {
            let slot = Slot::new(Signer::SharedKey(i), secret, *algorithm);
            match groups.iter_mut().find(|group| group.id == *id && group.algorithm == *algorithm) {
                Some(group) => group.slots.push(slot),
                None => groups.push(Shared { id: id.clone(), algorithm: *algorithm, slots: vec![slot] }),
            }
        }
        let strangers = [Algorithm::HmacSha1, Algorithm::HmacSha256].map(Slot::decoy);
        Self { tokens: slots, shared: groups, strangers }
    }

    /// The keyring of a line that does not exist: it verifies nothing, in the time of one that does.
    pub fn dummy() -> Self {
        Self::new(&[], &[])
    }

    /// A keyring for checking by hand: every secret both as an auth token and as the shared key that the
    /// request's settings header names, if it names one.
    pub fn for_settings(secrets: &[SecretString], settings: Option<&str>) -> Result<Self, Malformed> {
        let shared: Vec<_> = match Settings::parse(settings)? {
            Settings::Token => Vec::new(),
            Settings::Shared { id, algorithm } => {
                secrets.iter().map(|secret| (id.to_owned(), algorithm, secret.clone())).collect()
            }
        };
        Ok(Self::new(secrets, &shared))
    }

    /// The keys that may have signed a request with these settings.
    pub(crate) fn candidates(&self, settings: Settings<'_>) -> &[Slot] {
        let Settings::Shared { id, algorithm } = settings else { return &self.tokens };
        let known = self.shared.iter().find(|key| key.id == id && key.algorithm == algorithm);
        match (known, algorithm) {
            (Some(key), _) => &key.slots,
            (None, Algorithm::HmacSha1) => &self.strangers[..1],
            (None, Algorithm::HmacSha256) => &self.strangers[1..],
        }
    }

    /// Every key there is, decoys left out.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Slot> {
        let shared = self.shared.iter().flat_map(|key| &key.slots);
        self.tokens.iter().chain(shared).filter(|slot| slot.signer.is_some())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} keys]", self.all().count())
    }
}

/// An HMAC with its key in place; signing begins from a copy of it.
#[derive(Clone)]
pub(crate) enum Key {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl Key {
    pub(crate) fn new(secret: &str, algorithm: Algorithm) -> Self {
        let secret = secret.as_bytes();
        match algorithm {
            Algorithm::HmacSha1 => Self::Sha1(schedule(secret, |key| Sha1::digest(key).to_vec())),
            Algorithm::HmacSha256 => Self::Sha256(schedule(secret, |key| Sha256::digest(key).to_vec())),
        }
    }

    /// Signs what the pieces are together.
    pub(crate) fn sign(&self, pieces: &[&str]) -> Signature {
        match self {
            Self::Sha1(mac) => Signature::new(&mac_over(mac.clone(), pieces)),
            Self::Sha256(mac) => Signature::new(&mac_over(mac.clone(), pieces)),
        }
    }
}

/// The key schedule. RFC 2104: a key longer than a block is hashed, a shorter one padded with zeros.
fn schedule<M: KeyInit>(secret: &[u8], hash: impl Fn(&[u8]) -> Vec<u8>) -> M {
    let mut block = Block::<M>::default();
    let hashed = if secret.len() > block.len() { hash(secret) } else { Vec::new() };
    let key = if hashed.is_empty() { secret } else { &hashed };
    block[..key.len()].copy_from_slice(key);
    M::new(&block)
}

fn mac_over<M: Mac>(mut mac: M, pieces: &[&str]) -> impl AsRef<[u8]> + use<M> {
    for piece in pieces {
        mac.update(piece.as_bytes());
    }
    mac.finalize().into_bytes()
}

/// A signature as Twilio writes it: base64 of 20 or 32 bytes, on the stack.
pub(crate) struct Signature {
    text: [u8; 44],
    len: usize,
}

impl Signature {
    fn new(mac: &impl AsRef<[u8]>) -> Self {
        let mut text = [0; 44];
        // 32 bytes make 44 letters, so there is always room; a length of 0 would match nothing.
        let len = STANDARD.encode_slice(mac, &mut text).unwrap_or_default();
        Self { text, len }
    }

    /// Whether this is the signature that was sent, in a time that tells nothing of where they differ.
    pub(crate) fn is(&self, sent: &str) -> bool {
        self.len > 0 && self.text[..self.len].ct_eq(sent.as_bytes()).into()
    }

    pub(crate) fn into_string(self) -> String {
        String::from_utf8_lossy(&self.text[..self.len]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macs_are_those_of_the_rfcs() {
        // RFC 2202 and RFC 4231, test cases 2 and 6 (a key longer than a block).
        let sign = |key: &str, algorithm, text: &str| Key::new(key, algorithm).sign(&[text]).into_string();
        let plain = |bytes: &str| STANDARD.encode(hex(bytes));
        assert_eq!(
            sign("Jefe", Algorithm::HmacSha1, "what do ya want for nothing?"),
            plain("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        );
        assert_eq!(
            sign("Jefe", Algorithm::HmacSha256, "what do ya want for nothing?"),
            plain("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        // 0x0b and 0x61 are text; 0xaa is not, so the long key here is checked against its own hash.
        let long = "a".repeat(100);
        let hashed = Sha1::digest(&long);
        let by_hash: Hmac<Sha1> = schedule(&hashed, |_| Vec::new());
        assert_eq!(
            sign(&long, Algorithm::HmacSha1, "x"),
            Signature::new(&mac_over(by_hash, &["x"])).into_string()
        );
    }

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect()
    }
}
