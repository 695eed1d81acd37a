//! The header by which a request says that a shared key signed it:
//! `X-Twilio-Webhooks-Signature-Settings: key=<id>,algorithm=HMAC_SHA1|HMAC_SHA256` (public beta of 2026).

use casewire_domain::directory::Algorithm;

/// What signs a request, as the request itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settings<'a> {
    /// The account's auth token, with HMAC-SHA1: no header, or one that names no algorithm.
    Token,
    /// The shared key of this id.
    Shared { id: &'a str, algorithm: Algorithm },
}

/// The settings header names what we do not know. Final: guessing an algorithm would be a way round it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An algorithm other than the two documented.
    #[error("the signature settings name an unknown algorithm")]
    UnknownAlgorithm,
    /// An algorithm without a key.
    #[error("the signature settings name no key")]
    NoKey,
}

impl<'a> Settings<'a> {
    pub(crate) fn parse(header: Option<&'a str>) -> Result<Self, Malformed> {
        let Some(algorithm) = field(header, "algorithm") else { return Ok(Self::Token) };
        let algorithm = if algorithm.eq_ignore_ascii_case("HMAC_SHA1") {
            Algorithm::HmacSha1
        } else if algorithm.eq_ignore_ascii_case("HMAC_SHA256") {
            Algorithm::HmacSha256
        } else {
            return Err(Malformed::UnknownAlgorithm);
        };
        let id = field(header, "key").ok_or(Malformed::NoKey)?;
        Ok(Self::Shared { id, algorithm })
    }
}

/// The first non-empty value of this name in `name=value,name=value`.
fn field<'a>(header: Option<&'a str>, name: &str) -> Option<&'a str> {
    let fields = header?.split(',').filter_map(|field| field.split_once('='));
    fields.map(|(n, v)| (n.trim(), v.trim())).find(|(n, v)| *n == name && !v.is_empty()).map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_algorithm_the_auth_token_signs() {
        for header in [None, Some(""), Some("key=k1"), Some("algorithm="), Some("algorithm")] {
            assert_eq!(Settings::parse(header), Ok(Settings::Token), "{header:?}");
        }
    }

    #[test]
    fn a_key_and_its_algorithm_are_read() {
        let expected = Settings::Shared { id: "k1", algorithm: Algorithm::HmacSha256 };
        for header in ["key=k1,algorithm=HMAC_SHA256", " algorithm = hmac_sha256 , key = k1 "] {
            assert_eq!(Settings::parse(Some(header)), Ok(expected));
        }
    }

    #[test]
    fn what_we_do_not_know_fails_closed() {
        let parse = |header| Settings::parse(Some(header));
        assert_eq!(parse("key=k1,algorithm=HMAC_MD5"), Err(Malformed::UnknownAlgorithm));
        assert_eq!(parse("key=k1,algorithm=none"), Err(Malformed::UnknownAlgorithm));
        assert_eq!(parse("algorithm=HMAC_SHA1"), Err(Malformed::NoKey));
    }
}
