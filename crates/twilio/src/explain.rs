//! Why a signature does not verify: the request is tried again with the mistakes people make with proxies,
//! frameworks and shells undone, and the smallest set of changes that makes it match is told.
//!
//! Nothing here decides what is accepted; it is for a person with a request that was refused.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::signature::{self, Keyring, Refused, Settings, Signer, Slot, UrlRequest};

mod variants;

pub use variants::Change;
use variants::{Draft, payloads, urls};

/// One reason, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request cannot be read, has no signature, or its settings header names what we do not know.
    Refused(Refused),
    /// The signature is not base64.
    NotBase64,
    /// The signature is base64 of a number of bytes that no algorithm here makes.
    WrongLength(usize),
    /// The signature is 32 bytes long, as HMAC-SHA256 makes them, but no settings header names a shared key.
    SettingsMissing,
    /// The settings header names a key that was not given.
    UnknownKey,
    /// The URL is signed, but the body is not the one whose hash it holds.
    BodyHash {
        /// Whether it would be without the white space around it.
        trimmed: bool,
    },
    /// It would match with these changes and this key.
    WouldMatch {
        /// What would have to be different, at least one.
        changes: Vec<Change>,
        /// Whose key it would be.
        signer: Signer,
    },
    /// Nothing that was tried makes it match.
    Unexplained,
}

/// Everything that can be told of why a request does not verify; empty for one that does.
pub fn explain(request: &UrlRequest<'_>, keys: &Keyring) -> Vec<Reason> {
    let refused = match signature::verify_url(request, keys) {
        Ok(_) => return Vec::new(),
        Err(refused) => refused,
    };
    let mut reasons = match refused {
        Refused::Mismatch => Vec::new(),
        Refused::BodyHash => vec![Reason::BodyHash { trimmed: trimmed_hash_matches(request) }],
        other => vec![Reason::Refused(other)],
    };
    let Some(sent) = request.signature.filter(|text| !text.is_empty()) else { return reasons };
    reasons.extend(shape(sent, request, keys));
    if matches!(reasons.last(), Some(Reason::NotBase64 | Reason::WrongLength(_))) {
        return reasons;
    }
    reasons.extend(near_misses(request, sent, keys));
    if reasons.is_empty() {
        reasons.push(Reason::Unexplained);
    }
    reasons
}

/// What the look of the signature tells.
fn shape(sent: &str, request: &UrlRequest<'_>, keys: &Keyring) -> Option<Reason> {
    let settings = Settings::parse(request.settings);
    let Ok(bytes) = STANDARD.decode(sent) else { return Some(Reason::NotBase64) };
    match (bytes.len(), settings) {
        (32, Ok(Settings::Token)) => Some(Reason::SettingsMissing),
        (20 | 32, Ok(settings)) if keys.candidates(settings).iter().all(|slot| slot.signer.is_none()) => {
            Some(Reason::UnknownKey)
        }
        (20 | 32, _) => None,
        (other, _) => Some(Reason::WrongLength(other)),
    }
}

fn trimmed_hash_matches(request: &UrlRequest<'_>) -> bool {
    let hash = signature::body_hash(request.body.trim_ascii());
    signature::body_hashes(request.url).all(|given| given == hash)
}

/// The smallest changes under which some key makes the signature, every one of the same number.
fn near_misses(request: &UrlRequest<'_>, sent: &str, keys: &Keyring) -> Vec<Reason> {
    let right_keys = Settings::parse(request.settings).map(|settings| keys.candidates(settings));
    let of_other_kind = |slot: &Slot| match &right_keys {
        Ok(right) if right.iter().any(|key| key.signer == slot.signer) => None,
        _ if matches!(slot.signer, Some(Signer::Token(_))) => Some(Change::AuthToken),
        _ => Some(Change::SharedKey),
    };
    let payloads = payloads(request);
    let mut found: Vec<Reason> = Vec::new();
    let mut fewest = usize::MAX;
    for Draft { url, changes: in_url } in urls(request) {
        for (in_body, signed) in &payloads {
            for slot in keys.all() {
                let changes: Vec<_> =
                    in_url.iter().copied().chain(*in_body).chain(of_other_kind(slot)).collect();
                let Some(signer) = slot.signer else { continue };
                // No change at all is a wrong body hash or an unreadable setting, told already.
                if changes.is_empty() || changes.len() > fewest || !slot.key.sign(&[&url, signed]).is(sent) {
                    continue;
                }
                if changes.len() < fewest {
                    fewest = changes.len();
                    found.clear();
                }
                found.push(Reason::WouldMatch { changes, signer });
            }
        }
    }
    found
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::NotBase64 => f.write_str("the signature is not base64"),
            Self::WrongLength(bytes) => {
                write!(f, "the signature is {bytes} bytes long; HMAC-SHA1 makes 20 and HMAC-SHA256 makes 32")
            }
            Self::SettingsMissing => write!(
                f,
                "the signature is 32 bytes long, so a shared key made it with HMAC-SHA256, but no {} names it",
                signature::SETTINGS_HEADER
            ),
            Self::UnknownKey => f.write_str("no key was given of the kind that the signature settings name"),
            Self::BodyHash { trimmed: false } => Refused::BodyHash.fmt(f),
            Self::BodyHash { trimmed: true } => {
                write!(f, "{} would match with the white space around the body removed", signature::BODY_HASH)
            }
            Self::WouldMatch { changes, signer } => {
                f.write_str("it would match ")?;
                for (i, change) in changes.iter().enumerate() {
                    write!(f, "{}{change}", if i == 0 { "" } else { " and " })?;
                }
                match signer {
                    Signer::Token(0) => Ok(()),
                    Signer::Token(i) => write!(f, ", signed with auth token #{}", i + 1),
                    Signer::SharedKey(i) => write!(f, ", signed with shared key #{}", i + 1),
                }
            }
            Self::Unexplained => f.write_str(
                "nothing that was tried makes it match: the token may be another account's or no longer live, \
                 or the host, the path or a parameter is not what was signed",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
