//! What is wrong with a configuration, and where it was found. Nothing here repeats a value: it may be a secret.

use std::fmt;
use std::path::PathBuf;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of the configuration file, counted from 1.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, 0 when the file as a whole is meant.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where it stands; `None` for what is missing or wrong only together with others.
    pub origin: Option<Origin>,
    /// What is wrong, in a sentence that names the setting and holds no value.
    pub what: String,
}

impl Mistake {
    /// A mistake that stands somewhere.
    pub(crate) fn at(origin: Origin, what: impl Into<String>) -> Self {
        Self { origin: Some(origin), what: what.into() }
    }

    /// A mistake that stands nowhere, such as something missing. Also for checks made outside this crate.
    pub fn of_all(what: impl Into<String>) -> Self {
        Self { origin: None, what: what.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Everything that is wrong with a configuration: never empty. Final: the configuration must change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// `Ok` when there are none.
    pub fn none_in(mut mistakes: Vec<Mistake>) -> Result<(), Self> {
        mistakes.sort();
        if mistakes.is_empty() { Ok(()) } else { Err(Self(mistakes)) }
    }

    /// The mistakes: those without a place first, then by file, line and variable.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "there is a mistake in the configuration: {only}");
        }
        f.write_str("there are mistakes in the configuration:")?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}
