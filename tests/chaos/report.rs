//! What came of each row: kept as JSON, shown as Markdown. Rows that were not played this time keep their last result.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where results are kept.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/chaos/results");

/// Figures that every row has, and what the summary calls them.
const COLUMNS: &[(&str, &str)] = &[
    ("texts", "texts"),
    ("acked", "acknowledged"),
    ("requests", "requests"),
    ("kills", "kills"),
    ("lost", "lost"),
    ("doubled", "doubled"),
    ("dead_letters", "dead letters"),
    ("held", "held"),
    ("p50_ms", "p50 ms"),
    ("p99_ms", "p99 ms"),
    ("max_ms", "max ms"),
    ("settled_s", "settled s"),
    ("drain_factor", "drain ×"),
];

/// Whether a row held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Held,
    Broken,
    /// It could not be played here, which is not green.
    NotRun,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Broken => "BROKEN",
            Self::NotRun => "not run",
        })
    }
}

/// One row's result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Result {
    pub(crate) row: u32,
    pub(crate) fault: String,
    pub(crate) expected: String,
    pub(crate) verdict: Verdict,
    /// What did not hold, the first few; why it was not run; what held otherwise than expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) profile: String,
    /// Of which version.
    #[serde(default)]
    pub(crate) commit: String,
    /// What was asked for beside the row: `--kills 20`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) knobs: String,
    /// When it was played.
    pub(crate) at: String,
    pub(crate) took_s: f64,
    pub(crate) figures: Map<String, Value>,
}

impl Result {
    /// One line about it.
    pub(crate) fn line(&self) -> String {
        let mut line = self.notes.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        for (name, value) in &self.figures {
            let _ = write!(line, "{}{name} {value}", if line.is_empty() { "" } else { ", " });
        }
        line
    }
}

/// The version under test, `+` where it was changed since; nothing outside a repository.
pub(crate) fn commit() -> String {
    let mut git = Command::new("git");
    let git = git.args(["describe", "--always", "--dirty=+"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    git.output().map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned()).unwrap_or_default()
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Puts a result in the place of that of the same row, and writes both files: what was played stays, should the next row
/// never come to its end.
pub(crate) fn keep(new: &Result) -> io::Result<()> {
    let mut all: Vec<Result> = match fs::read(path("latest.json")) {
        Ok(known) => serde_json::from_slice(&known)?,
        Err(none) if none.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    all.retain(|old| old.row != new.row);
    all.push(new.clone());
    all.sort_by_key(|result| result.row);
    fs::create_dir_all(FOLDER)?;
    replace("latest.json", &(serde_json::to_string_pretty(&all)? + "\n"))?;
    replace("latest.md", &markdown(&all))
}

/// Writes a file whole or not at all.
fn replace(name: &str, text: &str) -> io::Result<()> {
    let new = path(&format!("{name}.new"));
    fs::write(&new, text)?;
    fs::rename(new, path(name))
}

/// The summary.
pub(crate) fn markdown(results: &[Result]) -> String {
    let mut text = String::from(
        "# Results of the fault matrix\n\n`make chaos` plays all rows, `make chaos ROWS=\"3 11\"` some. \
         Latencies are of webhooks during the fault.\n\n| row | fault | verdict | version |",
    );
    for (_, title) in COLUMNS {
        let _ = write!(text, " {title} |");
    }
    let _ = writeln!(text, "\n|---|---|---|---|{}", "---|".repeat(COLUMNS.len()));
    for result in results {
        let Result { row, fault, verdict, commit, .. } = result;
        let _ = write!(text, "| {row} | {fault} | {verdict} | {commit} |");
        for (name, _) in COLUMNS {
            let figure = result.figures.get(*name).map(ToString::to_string).unwrap_or_default();
            let _ = write!(text, " {figure} |");
        }
        text.push('\n');
    }
    text.push('\n');
    for result in results {
        let _ = writeln!(
            text,
            "**{}. {}.** Expected: {}. {} build of {}, seed {}, {} s, {}. {}",
            result.row,
            result.fault,
            result.expected,
            result.profile,
            result.commit,
            result.seed,
            result.took_s,
            result.at,
            result.knobs
        );
        let more = result.figures.iter().filter(|(name, _)| COLUMNS.iter().all(|(column, _)| column != name));
        let more: Vec<_> = more.map(|(name, value)| format!("{name} {value}")).collect();
        let _ = writeln!(text, "{}", more.join(", "));
        for note in &result.notes {
            let _ = writeln!(text, "- {note}");
        }
        text.push('\n');
    }
    text
}
