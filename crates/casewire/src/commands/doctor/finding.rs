//! What a check found.

use serde::Serialize;

/// How what was looked at stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It was wrong, and is as it should be now.
    Fixed,
    /// It works, and may not for long, or not as well as it could.
    Warn,
    /// It does not work.
    Wrong,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fixed => "fixed",
            Self::Warn => "warn",
            Self::Wrong => "WRONG",
            Self::Skipped => "skipped",
        }
    }
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub check: String,
    pub state: State,
    /// What was found, and why it matters where it is not as it should be.
    pub found: String,
    /// The command or the setting that mends it.
    pub mend: Option<String>,
}

impl Finding {
    pub fn new(check: impl Into<String>, state: State, found: impl Into<String>) -> Self {
        Self { check: check.into(), state, found: found.into(), mend: None }
    }

    pub fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(check, State::Ok, found)
    }

    pub fn skipped(check: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(check, State::Skipped, why)
    }

    pub fn warn(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..Self::new(check, State::Warn, found) }
    }

    pub fn wrong(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..Self::new(check, State::Wrong, found) }
    }
}
