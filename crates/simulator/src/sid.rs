//! Twilio's identifiers: two letters that tell the kind, and 32 hex digits.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The id of a message: `SM…`, or `MM…` when it carries media.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sid {
    media: bool,
    id: u128,
}

/// What was given is no identifier of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SID: {0} and 32 hex digits")]
pub struct NotASid(&'static str);

impl Sid {
    pub(crate) fn new(media: bool, id: u128) -> Self {
        Self { media, id }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:032x}", if self.media { "MM" } else { "SM" }, self.id)
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = NotASid;

    fn from_str(text: &str) -> Result<Self, NotASid> {
        let wrong = NotASid("SM or MM");
        let (media, hex) = match text.split_at_checked(2) {
            Some(("SM", hex)) => (false, hex),
            Some(("MM", hex)) => (true, hex),
            _ => return Err(wrong),
        };
        if !is_hex32(hex) {
            return Err(wrong);
        }
        u128::from_str_radix(hex, 16).map(|id| Self { media, id }).map_err(|_| wrong)
    }
}

impl TryFrom<String> for Sid {
    type Error = NotASid;
    fn try_from(text: String) -> Result<Self, NotASid> {
        text.parse()
    }
}

impl From<Sid> for String {
    fn from(sid: Sid) -> Self {
        sid.to_string()
    }
}

/// The id of an account: `AC` and 32 hex digits, kept in the case it was given.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountSid(Arc<str>);

impl AccountSid {
    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccountSid {
    type Err = NotASid;

    fn from_str(text: &str) -> Result<Self, NotASid> {
        match text.strip_prefix("AC") {
            Some(hex) if is_hex32(hex) => Ok(Self(text.into())),
            _ => Err(NotASid("AC")),
        }
    }
}

impl TryFrom<String> for AccountSid {
    type Error = NotASid;
    fn try_from(text: String) -> Result<Self, NotASid> {
        text.parse()
    }
}

impl From<AccountSid> for String {
    fn from(sid: AccountSid) -> Self {
        sid.0.as_ref().to_owned()
    }
}

fn is_hex32(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_reads_back_as_it_was_written() {
        let sid = Sid::new(true, 0xabc);
        assert_eq!(sid.to_string(), "MM00000000000000000000000000000abc");
        assert_eq!(sid.to_string().parse(), Ok(sid));
    }

    #[test]
    fn what_is_not_two_letters_and_32_hex_digits_is_no_sid() {
        for wrong in ["", "SM", "XX00000000000000000000000000000abc", "SM+0000000000000000000000000000abc"] {
            assert!(wrong.parse::<Sid>().is_err(), "{wrong}");
        }
        assert!("AC123".parse::<AccountSid>().is_err());
    }
}
