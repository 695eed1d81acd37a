//! Where a person or a line is reached: a phone number in E.164, a short code, an alphanumeric sender, or one
//! of a channel (`whatsapp:+1…`). It prints masked.

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
use serde::{Deserialize, Serialize};

/// A two-letter region (`US`), by which numbers without a country code are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region([u8; 2]);

/// What was given is not a two-letter region.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region is two letters, such as US or DE")]
pub struct NotARegion;

impl Region {
    /// The region lines have unless they say otherwise.
    pub const US: Self = Self(*b"US");

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("US")
    }
}

impl FromStr for Region {
    type Err = NotARegion;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(NotARegion),
        }
    }
}

impl TryFrom<String> for Region {
    type Error = NotARegion;
    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.as_str().to_owned()
    }
}

/// Where a person or a line is reached. `Debug` and `Display` mask it; [`Address::reveal`] tells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

/// What was given is no address. It does not repeat what was given: that may be somebody's number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// Nothing, or only white space.
    #[error("the address is empty")]
    Empty,
    /// Too long, or with control characters.
    #[error("the address is longer than {} characters or holds control characters", Address::MAX_LEN)]
    Malformed,
}

impl Address {
    /// Whether it is a Messaging Service (`MG` and 32 hex digits), which picks the number a text leaves from.
    pub fn is_messaging_service(&self) -> bool {
        let digits = self.0.strip_prefix("MG").unwrap_or_default();
        digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Longest address kept; the longest documented senders are far shorter.
    pub const MAX_LEN: usize = 120;

    /// Reads an address as providers send it and people type it.
    ///
    /// A phone number becomes E.164 (`(555) 123-4567` in `US` → `+15551234567`; possible suffices, assigned
    /// is not asked). A channel prefix (`whatsapp:`) stays in front of its normalised number. Short codes,
    /// alphanumeric senders and what is no number at all are kept as they are.
    pub fn parse(raw: &str, region: Region) -> Result<Self, NotAnAddress> {
        let raw = raw.trim();
        if raw.is_empty() {
            return Err(NotAnAddress::Empty);
        }
        if raw.len() > Self::MAX_LEN || raw.chars().any(char::is_control) {
            return Err(NotAnAddress::Malformed);
        }
        if let Some((channel, rest)) = raw.split_once(':') {
            let rest = normalise(rest, region).unwrap_or_else(|| rest.to_owned());
            return Ok(Self(format!("{}:{rest}", channel.to_ascii_lowercase())));
        }
        Ok(Self(normalise(raw, region).unwrap_or_else(|| raw.to_owned())))
    }

    /// An address read back from storage, where only parsed ones are.
    pub fn from_stored(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// The address itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The digits of the number without `+` and channel, for a generated e-mail; `None` for a sender by name.
    pub fn digits(&self) -> Option<&str> {
        let number = self.0.rsplit(':').next().unwrap_or(&self.0);
        let digits = number.strip_prefix('+').unwrap_or(number);
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
    }
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The number in E.164, or `None` when this is no phone number (a name, a short code).
fn normalise(raw: &str, region: Region) -> Option<String> {
    if is_e164(raw) {
        return Some(raw.to_owned());
    }
    let digits = raw.bytes().filter(u8::is_ascii_digit).count();
    let punctuation = |c: char| c.is_ascii_digit() || " -.()/+\u{a0}".contains(c);
    // Three to six digits are a short code; letters make a name.
    if digits < 7 || !raw.chars().all(punctuation) {
        return None;
    }
    let number = PHONE_NUMBER_UTIL.parse(raw, region.as_str().parse().ok()).ok()?;
    if !PHONE_NUMBER_UTIL.is_possible_number(&number) {
        return None;
    }
    Some(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits() {
            Some(digits) if digits.len() > 4 => write!(f, "+***{}", &digits[digits.len() - 2..]),
            _ => f.write_str("***"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        let address = Address::parse(raw, Region::US);
        assert_eq!(address.as_ref().map(Address::reveal), Ok(expected), "{raw}");
    }

    #[test]
    fn numbers_people_type_become_e164() {
        check("(555) 123-4567", "+15551234567");
        check("555.123.4567", "+15551234567");
        check("1 206 555 0100", "+12065550100");
        check("+12065550100", "+12065550100");
        check(" +44 20 7946 0958 ", "+442079460958");
    }

    #[test]
    fn short_codes_and_names_are_kept_as_they_are() {
        check("12345", "12345");
        check("747474", "747474");
        check("ACME Bank", "ACME Bank");
        check("anonymous", "anonymous");
    }

    #[test]
    fn a_channel_stays_in_front_of_its_number() {
        check("whatsapp:+12065550100", "whatsapp:+12065550100");
        check("WhatsApp:+1 206 555 0100", "whatsapp:+12065550100");
        check("rcs:acme_agent", "rcs:acme_agent");
    }

    #[test]
    fn a_local_number_is_read_in_its_region() {
        let german =
            Region::from_str("de").and_then(|r| Address::parse("030 901820", r).map_err(|_| NotARegion));
        assert_eq!(german.as_ref().map(Address::reveal), Ok("+4930901820"));
    }

    #[test]
    fn nothing_and_rubbish_are_no_address() {
        assert_eq!(Address::parse("  ", Region::US), Err(NotAnAddress::Empty));
        assert_eq!(Address::parse("a\u{0}b", Region::US), Err(NotAnAddress::Malformed));
        assert_eq!(Address::parse(&"x".repeat(200), Region::US), Err(NotAnAddress::Malformed));
    }

    #[test]
    fn an_address_prints_masked() {
        let number = Address::from_stored("+12065550134");
        assert_eq!(format!("{number} {number:?}"), "+***34 +***34");
        assert_eq!(Address::from_stored("ACME").to_string(), "***");
    }
}
