//! What a person wrote. It prints as its length, never as itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of a message. `Debug` and `Display` show only how long it is; [`Text::reveal`] is the one
/// way to the words, so that every place that reads them can be found by that name.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// Wraps what a person wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The words themselves.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether nothing but white space was written.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
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
}
