//! What a person wrote. It prints as its length, never as itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of a message. `Debug` and `Display` show only how long it is; [`Text::reveal`] is the one
/// way to the words, so that every place that reads them can be found by that name.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Text(String);

impl From<String> for Text {
    fn from(text: String) -> Self {
        // PostgreSQL stores no NUL: one NUL must not cost the text it is in.
        if text.contains('\0') { Self(text.replace('\0', "\u{fffd}")) } else { Self(text) }
    }
}

impl Text {
    /// Wraps what a person wrote. A NUL becomes U+FFFD; everything else is kept as it is.
    pub fn new(text: impl Into<String>) -> Self {
        text.into().into()
    }

    /// The words themselves.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The same, for whoever is the last to hold them.
    pub fn into_revealed(self) -> String {
        self.0
    }
}

/// Words on one line of at most so many characters, with an ellipsis where they were cut: for names and
/// subjects, which stand in lists and on terminals. White space and control characters become one space.
pub(crate) fn one_line(words: &str, most: usize) -> String {
    let breaks = |c: char| c.is_whitespace() || c.is_control();
    let line = words.split(breaks).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} chars]", self.0.chars().count())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_prints_as_its_length() {
        let text = Text::new("my heater is broken");
        assert_eq!(format!("{text} {text:?}"), "[19 chars] [19 chars]");
    }

    #[test]
    fn a_text_holds_no_nul_and_is_whole_otherwise() {
        assert_eq!(Text::new("a\0b").reveal(), "a\u{fffd}b");
        assert_eq!(serde_json::from_str::<Text>(r#""a\u0000b""#).unwrap().reveal(), "a\u{fffd}b");
        let odd = "\u{1b}[31m \u{202e}R&D\r\n\t🔥 ";
        assert_eq!(Text::new(odd).reveal(), odd);
        assert_eq!(serde_json::to_string(&Text::new("a")).unwrap(), r#""a""#);
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(one_line(" my\r\n heater\u{1b}[31m\u{85}is\0broken ", 99), "my heater [31m is broken");
        assert_eq!((one_line("äöü", 3), one_line("äöüß", 3)), ("äöü".into(), "äöü…".into()));
        assert_eq!(one_line("\u{7}\n", 3), "");
    }
}
