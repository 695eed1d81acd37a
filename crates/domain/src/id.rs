//! Identifiers, each of its own type so that a case can never be passed for a contact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where new ids come from: an argument of everything that makes one, so that tests can repeat a run.
pub type Mint<'a> = &'a mut (dyn FnMut() -> Uuid + Send);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id!(
    /// Who owns accounts, lines, cases and contacts.
    WorkspaceId
);
id!(
    /// A Twilio account: where credentials belong.
    AccountId
);
id!(
    /// One address customers reach.
    LineId
);
id!(
    /// A person, known by address.
    ContactId
);
id!(
    /// One contact on one line.
    ConversationId
);
id!(
    /// A piece of work.
    CaseId
);
id!(
    /// One text, in either direction.
    MessageId
);

/// The eight-digit number people use for a case. It prints with leading zeros: `00001001`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseNumber(u32);

impl CaseNumber {
    /// The largest number eight digits hold.
    pub const MAX: u32 = 99_999_999;

    /// A case number from its value; `None` when it does not fit eight digits.
    pub fn new(value: u32) -> Option<Self> {
        (value <= Self::MAX).then_some(Self(value))
    }

    /// The number's value.
    pub fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

impl fmt::Debug for CaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was given is not a case number: eight digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a case number is eight digits")]
pub struct NotACaseNumber;

impl FromStr for CaseNumber {
    type Err = NotACaseNumber;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.len() != 8 || !s.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotACaseNumber);
        }
        s.parse().ok().and_then(Self::new).ok_or(NotACaseNumber)
    }
}

impl Serialize for CaseNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CaseNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_number_keeps_its_leading_zeros() {
        assert_eq!("00001001".parse::<CaseNumber>().map(|n| n.to_string()), Ok("00001001".into()));
    }

    #[test]
    fn seven_or_nine_digits_or_letters_are_no_case_number() {
        for text in ["1234567", "123456789", "1234567a", "+1234567", ""] {
            assert_eq!(text.parse::<CaseNumber>(), Err(NotACaseNumber), "{text}");
        }
    }
}
