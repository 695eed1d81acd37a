//! What the program was asked to do: by `make chaos`, or by `cargo test`, whose arguments are for another harness.

use crate::rows::Row;

/// What to play.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Every row in full, and its results kept.
    pub(crate) all: bool,
    /// These rows in full, and their results kept.
    pub(crate) rows: Vec<u32>,
    /// Shortened, even those named.
    pub(crate) short: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) rate: Option<u32>,
    pub(crate) texts: Option<u64>,
    pub(crate) kills: Option<u64>,
    /// Only tell which there are.
    pub(crate) list: bool,
    /// Names to look for, as `cargo test` takes them.
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
}

/// The harness's own options that take a value.
const WITH_VALUE: &[&str] = &["--test-threads", "--format", "--color", "--logfile", "--shuffle-seed", "-Z"];

impl Options {
    /// Reads arguments; what belongs to the usual harness and means nothing here is passed over.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.flat_map(split);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--all" => options.all = true,
                "--short" => options.short = true,
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--rows" => {
                    let rows = value()?;
                    for row in rows.split([' ', ',']).filter(|row| !row.is_empty()) {
                        options.rows.push(number("--rows", row)?);
                    }
                }
                "--seed" => options.seed = Some(number("--seed", &value()?)?),
                "--rate" => options.rate = Some(number("--rate", &value()?)?),
                "--texts" => options.texts = Some(number("--texts", &value()?)?),
                "--kills" => options.kills = Some(number("--kills", &value()?)?),
                "--skip" => options.skips.push(value()?),
                other if WITH_VALUE.contains(&other) => drop(value()?),
                other if other.starts_with('-') => {}
                name => options.filters.push(name.to_owned()),
            }
        }
        Ok(options)
    }

    /// Whether this row is to be played.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        if self.all || !self.rows.is_empty() {
            return self.all || self.rows.contains(&row.number);
        }
        let name = name(row);
        let fits =
            |wanted: &String| if self.exact { name == *wanted } else { name.contains(wanted.as_str()) };
        row.quick
            && (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.skips.iter().any(fits)
    }

    /// Whether rows are played in full and their results kept.
    pub(crate) fn full(&self) -> bool {
        (self.all || !self.rows.is_empty()) && !self.short
    }
}

/// What `cargo test` knows a row by.
pub(crate) fn name(row: &Row) -> String {
    format!("chaos::row_{:02}_{}", row.number, row.fault.replace([' ', ',', '-', '/'], "_"))
}

/// `--name=value` as two.
fn split(argument: String) -> Vec<String> {
    match argument.split_once('=') {
        Some((name, value)) if name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
        _ => vec![argument],
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name} takes numbers, not {text:?}"))
}
