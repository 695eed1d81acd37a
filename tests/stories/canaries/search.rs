//! Looking for a word in whatever it may have been written as.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use casewire_twilio::parameters::Parameters;

/// A word that must not be found.
pub(super) struct Canary {
    name: String,
    /// Spelled in any case.
    any_case: Vec<Vec<u8>>,
    /// Spelled just so.
    exact: Vec<Vec<u8>>,
}

impl Canary {
    pub(super) fn new(name: &str, word: &str) -> Self {
        assert!(word.len() >= 7, "{name} would be found by chance");
        let bytes = word.as_bytes();
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        // As `Debug` writes bytes.
        let list = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        let form: Parameters = [("", word)].into_iter().collect();
        let form = form.encode().trim_start_matches('=').to_owned();
        let any_case = [word.to_owned(), form, hex, list].map(|text| text.to_lowercase().into_bytes());
        let exact = (0..3).flat_map(|before| in_base64(bytes, before)).collect();
        Self { name: name.to_owned(), any_case: any_case.into(), exact }
    }

    /// A phone number, with and without its plus and its country.
    pub(super) fn number(name: &str, number: &str) -> [Self; 2] {
        [Self::new(name, number), Self::new(name, number.strip_prefix("+1").unwrap())]
    }

    pub(super) fn is_in(&self, place: &[u8]) -> bool {
        let lower = place.to_ascii_lowercase();
        self.any_case.iter().any(|word| contains(&lower, word))
            || self.exact.iter().any(|word| contains(place, word))
    }
}

/// What base64 makes of these bytes wherever they begin: `before` bytes stand before them, anything after.
fn in_base64(bytes: &[u8], before: usize) -> [Vec<u8>; 2] {
    let whole = [&vec![0; before], bytes].concat();
    // Letters that our bytes alone decide.
    let (start, end) = ((before * 8).div_ceil(6), whole.len() * 8 / 6);
    [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)]
        .map(|text| text.as_bytes()[start..end].to_vec())
}

fn contains(place: &[u8], word: &[u8]) -> bool {
    place.windows(word.len()).any(|window| window == word)
}

/// Everything found in a place, with a little of what stands around it.
pub(super) fn found(canaries: &[Canary], place: &str, content: &[u8]) -> Vec<String> {
    let of = |canary: &Canary| {
        let line = content.split(|byte| *byte == b'\n').find(|line| canary.is_in(line)).unwrap_or_default();
        let line = String::from_utf8_lossy(&line[..line.len().min(600)]).into_owned();
        format!("{} in {place}: {line}", canary.name)
    };
    canaries.iter().filter(|canary| canary.is_in(content)).map(of).collect()
}

mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_however_it_is_spelled() {
        let canary = Canary::new("a number", "+12065559137");
        for place in [
            "from +12065559137.",
            "?From=%2B12065559137&To=x",
            "?From=%2b12065559137&To=x",
            "2b3132303635353539313337",
            "[43, 49, 50, 48, 54, 53, 53, 53, 57, 49, 51, 55]",
        ] {
            assert!(canary.is_in(place.as_bytes()), "{place}");
        }
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "x", "xy"] {
                let encoded = STANDARD_NO_PAD.encode(format!("{before}+12065559137{after}"));
                assert!(canary.is_in(encoded.as_bytes()), "{encoded}");
            }
        }
        assert!(Canary::new("a word", "Zq7Text").is_in(b"{\"body\":\"ZQ7TEXT\"}"));
        assert!(!canary.is_in(b"+12065559138"));
    }
}
