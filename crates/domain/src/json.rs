//! JSON as it is kept.

use serde::Serialize;
use serde_json::json;

/// JSON as text, written in one go. As a tree it would be a dozen pieces of memory, taken and given back with each text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// What `value` is as JSON.
    pub fn of(value: impl Serialize) -> Self {
        let written = serde_json::to_string(&value);
        // It happens to nothing of ours: only to maps whose keys are no strings.
        Self(written.unwrap_or_else(|error| json!({ "unwritten": error.to_string() }).to_string()))
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }

    /// What the text says.
    #[cfg(test)]
    pub(crate) fn tree(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap()
    }
}
