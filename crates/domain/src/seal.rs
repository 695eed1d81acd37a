//! Credentials at rest: AES-256-GCM under the installation's master key, with the key's id in front, so
//! that a wrong key is told from a damaged secret.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a nonce: 96 bits, random for every seal.
pub const NONCE_LEN: usize = 12;

/// A sealed secret as it is stored and published: `v1.<key id>.<base64 of nonce and ciphertext>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// A sealed secret read back from storage; checked only when it is opened.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a secret could not be opened, or a key not read. All are final: another try changes nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key is not 32 bytes in base64.
    #[error("a master key is 32 random bytes in base64")]
    MalformedKey,
    /// Sealed under another key.
    #[error("the secret was sealed with master key {sealed_with}, this one is {given}")]
    WrongKey {
        /// Id of the key the secret was sealed with.
        sealed_with: String,
        /// Id of the key that was tried.
        given: String,
    },
    /// Not something this version sealed, or changed since.
    #[error("the sealed secret is damaged")]
    Damaged,
}

/// The installation's master key.
#[derive(Clone)]
pub struct MasterKey {
    cipher: Aes256Gcm,
    id: String,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKey {
    /// A key from its 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        let id = Sha256::digest(bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { cipher: Aes256Gcm::new(bytes.into()), id }
    }

    /// A key from its base64 text, white space around it ignored.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| Error::MalformedKey)?);
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| Error::MalformedKey)?;
        Ok(Self::new(bytes))
    }

    /// The text form of a key's bytes, as [`MasterKey::parse`] reads it.
    pub fn encode(bytes: &[u8; 32]) -> String {
        STANDARD.encode(bytes)
    }

    /// Names the key without telling it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a secret for one place (`about`: the owner's id, say), under a nonce never used before.
    pub fn seal(&self, secret: &str, about: &str, nonce: [u8; NONCE_LEN]) -> Sealed {
        let payload = Payload { msg: secret.as_bytes(), aad: about.as_bytes() };
        // AES-GCM fails only beyond 64 GiB; an empty seal then never opens, which is the safe side.
        let ciphertext = self.cipher.encrypt(&Nonce::from(nonce), payload).unwrap_or_default();
        let mut sealed = nonce.to_vec();
        sealed.extend(ciphertext);
        Sealed(format!("v1.{}.{}", self.id, STANDARD.encode(sealed)))
    }

    /// Opens a secret sealed for the same place.
    pub fn open(&self, sealed: &Sealed, about: &str) -> Result<SecretString, Error> {
        let mut parts = sealed.0.splitn(3, '.');
        let (Some("v1"), Some(id), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::Damaged);
        };
        if id != self.id {
            return Err(Error::WrongKey { sealed_with: id.to_owned(), given: self.id.clone() });
        }
        let bytes = STANDARD.decode(text).map_err(|_| Error::Damaged)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(Error::Damaged)?;
        let payload = Payload { msg, aad: about.as_bytes() };
        let secret = self.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| Error::Damaged)?;
        String::from_utf8(secret).map(SecretString::from).map_err(|_| Error::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_was_sealed_opens_in_its_own_place_only() -> Result<(), Error> {
        let key = MasterKey::new(&[7; 32]);
        let sealed = key.seal("token", "account 1", [1; NONCE_LEN]);
        assert_eq!(key.open(&sealed, "account 1")?.expose_secret(), "token");
        assert_eq!(key.open(&sealed, "account 2").err(), Some(Error::Damaged));
        Ok(())
    }

    #[test]
    fn another_key_is_named_as_the_reason() {
        let sealed = MasterKey::new(&[7; 32]).seal("token", "a", [1; NONCE_LEN]);
        let opened = MasterKey::new(&[8; 32]).open(&sealed, "a");
        assert!(matches!(opened, Err(Error::WrongKey { .. })));
    }

    #[test]
    fn a_key_survives_its_text_form() -> Result<(), Error> {
        let text = MasterKey::encode(&[9; 32]);
        assert_eq!(MasterKey::parse(&format!(" {text}\n"))?.id(), MasterKey::new(&[9; 32]).id());
        assert_eq!(MasterKey::parse("short").err(), Some(Error::MalformedKey));
        Ok(())
    }
}
