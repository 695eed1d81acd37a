//! What was found, kept from run to run: a run of some measures replaces theirs alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::finding::Finding;
use crate::{chart, report};

/// The folder of results.
pub(crate) struct Results(PathBuf);

impl Results {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Puts what a measure has found now in the place of what it found before, nothing if it failed, with the findings of
    /// all `measures` in their order, and writes data, report and plots.
    pub(crate) fn replace(&self, measure: &str, new: Vec<Finding>, measures: &[&str]) -> Result<()> {
        let list = self.0.join("latest.json");
        let old = match fs::read(&list) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", list.display()))?
            }
            Err(_) => Vec::new(),
        };
        let all = merged(old, measure, new, measures);
        fs::create_dir_all(&self.0)?;
        write(&list, &(serde_json::to_string_pretty(&all)? + "\n"))?;
        write(&self.0.join("ratios.svg"), &chart::ratios(&all))?;
        write(&self.0.join("figures.svg"), &chart::figures(&all))?;
        write(&self.0.join("latest.md"), &report::markdown(&all))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Old and new findings, in the order of `measures`; what the measure found before goes.
fn merged(old: Vec<Finding>, measure: &str, new: Vec<Finding>, measures: &[&str]) -> Vec<Finding> {
    let mut all: Vec<Finding> = old.into_iter().filter(|finding| finding.measure != measure).collect();
    all.extend(new);
    // Findings of a measure keep their order; those of one that is no longer there go.
    all.retain(|finding| measures.contains(&finding.measure.as_str()));
    all.sort_by_key(|finding| measures.iter().position(|name| *name == finding.measure));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Goal;

    fn found(measure: &str, name: &str, value: f64) -> Finding {
        let finding = Finding::alone(name, "ms", [value], Goal::None);
        Finding { measure: measure.into(), ..finding }
    }

    #[test]
    fn a_run_of_some_measures_replaces_theirs_alone() {
        let old = vec![
            found("b", "b1", 1.0),
            found("a", "a1", 2.0),
            found("a", "a2", 3.0),
            found("gone", "x", 9.0),
        ];
        let all = merged(old, "a", vec![found("a", "a1", 4.0)], &["a", "b"]);
        let said: Vec<_> = all.iter().map(|finding| (finding.name.as_str(), finding.value)).collect();
        assert_eq!(said, [("a1", 4.0), ("b1", 1.0)]);
    }

    #[test]
    fn a_measure_that_failed_shows_nothing_of_before() {
        let all = merged(vec![found("b", "b1", 1.0), found("a", "a1", 2.0)], "a", vec![], &["a", "b"]);
        let said: Vec<_> = all.iter().map(|finding| finding.name.as_str()).collect();
        assert_eq!(said, ["b1"]);
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::at(folder.path().to_owned());
        results.replace("a", vec![found("a", "a1", 1.0)], &["a", "b"]).unwrap();
        results.replace("b", vec![found("b", "b1", 2.0)], &["a", "b"]).unwrap();
        let report = fs::read_to_string(folder.path().join("latest.md")).unwrap();
        assert!(report.contains("a1") && report.contains("b1"), "{report}");
        assert!(fs::read_to_string(folder.path().join("ratios.svg")).unwrap().starts_with("<svg"));
    }
}
