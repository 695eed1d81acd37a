//! Secrets that prove who asks: API tokens, one-time links and sessions. Each is 256 random bits; the store
//! keeps only its hash, from which nobody can make it again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

/// What every API token begins with, so that people and secret scanners know one when they see it.
pub const PREFIX: &str = "cw_";

/// Characters after the prefix: 32 bytes in base64.
const LEN: usize = 43;

/// The operating system gave no randomness. Final: nothing secret can be made here.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

/// A new API token: `cw_` and 43 characters.
///
/// # Errors
/// When there is no randomness.
pub fn api_token() -> Result<SecretString, NoRandomness> {
    mint(PREFIX)
}

/// A new one-time link or session: 43 characters that need no escaping in a URL or a cookie.
///
/// # Errors
/// When there is no randomness.
pub fn bare() -> Result<SecretString, NoRandomness> {
    mint("")
}

fn mint(prefix: &str) -> Result<SecretString, NoRandomness> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(SecretString::from(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// Whether this can be an API token at all. What cannot is not even looked up.
pub fn is_api_token(presented: &str) -> bool {
    presented.strip_prefix(PREFIX).is_some_and(is_bare)
}

/// Whether this can be a link or a session at all.
pub fn is_bare(presented: &str) -> bool {
    presented.len() == LEN && presented.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_looks_like_one_and_no_two_are_alike() {
        let (one, other) = (api_token().unwrap(), api_token().unwrap());
        assert!(is_api_token(one.expose_secret()));
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn what_cannot_be_a_token_is_not_even_looked_up() {
        let session = bare().unwrap();
        for text in ["", "cw_", "cw_short", "Bearer", session.expose_secret()] {
            assert!(!is_api_token(text), "{text}");
        }
        assert!(is_bare(session.expose_secret()));
        assert!(!is_bare(&"é ".repeat(14)));
    }
}
