//! What a webhook meant, once it has been read: a text, or a report on one of ours.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::MessageId;
use crate::status::DeliveryStatus;
use crate::text::Text;

/// A customer's text, as the provider described it.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundText {
    /// The provider's id: `SM` or `MM` and 32 hex digits.
    pub provider_sid: String,
    /// The sender as sent, not yet normalised.
    pub from: String,
    /// The address it was sent to, as sent.
    pub to: String,
    /// What was written; empty with a picture alone.
    pub body: Text,
    /// Pictures and other files, in order.
    pub media: Vec<Media>,
    /// Where the sender's number is from, as far as the provider knows.
    pub location: Location,
    /// The class the provider itself put an opt-out word in (Advanced Opt-Out alone sends it).
    pub opt_out: Option<Keyword>,
}

impl InboundText {
    /// The opt-out word it is, as the provider or its body says.
    pub fn keyword(&self) -> Option<Keyword> {
        self.opt_out.or_else(|| Keyword::of(self.body.reveal()))
    }
}

impl fmt::Debug for InboundText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundText")
            .field("provider_sid", &self.provider_sid)
            .field("body", &self.body)
            .field("media", &self.media.len())
            .field("opt_out", &self.opt_out)
            .finish_non_exhaustive()
    }
}

/// A file that came with a text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Where the provider keeps it; needs the account's credentials.
    pub url: String,
    /// The type the provider declared.
    pub content_type: String,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Media({})", self.content_type)
    }
}

/// Where a number is from; every part may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// City, upper case as Twilio sends it.
    pub city: Option<String>,
    /// State or province, abbreviated.
    pub state: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
    /// Two-letter country.
    pub country: Option<String>,
}

/// A word that the law or the carrier gives a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// No more texts.
    Stop,
    /// Texts again.
    Start,
    /// Who is this?
    Help,
}

impl Keyword {
    /// The keyword a whole text is, by Twilio's default lists (case-insensitive, nothing around it: "STOP
    /// PLEASE" is an ordinary text). Source: Twilio help 223134027, default opt-out keywords of 2026.
    pub fn of(body: &str) -> Option<Self> {
        let word = body.trim();
        let is_one_of = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
        if is_one_of(&["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE"]) {
            Some(Self::Stop)
        } else if is_one_of(&["START", "YES", "UNSTOP"]) {
            Some(Self::Start)
        } else if is_one_of(&["HELP", "INFO"]) {
            Some(Self::Help)
        } else {
            None
        }
    }
}

/// What a delivery callback says of one of our texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The provider's id of the text.
    pub provider_sid: String,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// Why it failed.
    pub error_code: Option<u32>,
    /// Our message and the attempt, when the callback came on the path we gave for them.
    pub ours: Option<(MessageId, u32)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_the_whole_text_in_any_case() {
        assert_eq!(Keyword::of(" stop\n"), Some(Keyword::Stop));
        assert_eq!(Keyword::of("Unstop"), Some(Keyword::Start));
        assert_eq!(Keyword::of("INFO"), Some(Keyword::Help));
        for ordinary in ["STOP PLEASE", "stop.", "please help", ""] {
            assert_eq!(Keyword::of(ordinary), None, "{ordinary}");
        }
    }
}
