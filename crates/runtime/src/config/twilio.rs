//! `[twilio]`: the account and number that `up` serves.

use std::fmt;

use secrecy::SecretString;

use super::section::section;
use super::url::HttpUrl;
use super::value::{Scalar, checked_text};

checked_text! {
    /// The id of an account at Twilio.
    pub struct AccountSid: "AC and 32 lower-case hex digits",
    |text| text.strip_prefix("AC").is_some_and(|hex| {
        hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// A line's number. It prints masked, as all numbers do.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// The number itself, as it was configured.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("+***")
    }
}

impl Scalar for Number {
    const EXPECTED: &'static str = "a number with its country code, such as \"+15550100\", or a short code";

    fn parse(text: &str) -> Option<Self> {
        let (digits, lengths) = text.strip_prefix('+').map_or((text, 3..=6), |digits| (digits, 7..=15));
        let number = lengths.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        number.then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

section! {
    /// The account and number that `up` serves. Unset, it serves a simulated one. Elsewhere accounts and lines are
    /// added with `casewire line add`.
    pub struct Twilio {
        /// The account that owns the number.
        #[such_as("AC00000000000000000000000000000000")]
        pub account_sid: Option<AccountSid> = None,
        /// Its primary auth token: it signs the webhooks and sends the replies.
        pub auth_token: Option<SecretString> = None,
        /// The number customers text.
        #[such_as("+15550100")]
        pub number: Option<Number> = None,
        /// Where the provider's API is. Another for a regional one, or for the simulator.
        pub api_base_url: HttpUrl = HttpUrl::twilio(),
    }
}
