//! What was found, kept from run to run: a run of some measures replaces theirs alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::finding::Finding;
use crate::{chart, report};

/// The findings, as data.
const LIST: &str = "latest.json";
/// What the page has around them.
const MARKS: [&str; 2] = ["<!-- findings -->", "<!-- end of findings -->"];

/// The folder of results, and the page that shows them.
pub(crate) struct Results {
    folder: PathBuf,
    page: Option<PathBuf>,
}

impl Results {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder, page: None }
    }

    /// The page's table is replaced with each finding.
    ///
    /// # Errors
    /// When the page has no place for it.
    pub(crate) fn shown_on(self, page: PathBuf) -> Result<Self> {
        showing(&fs::read_to_string(&page)?, &[])?;
        Ok(Self { page: Some(page), ..self })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts what a measure has found now in the place of what it found before, nothing if it failed, with the findings of
    /// all `measures` in their order, and writes data, report and plots.
    pub(crate) fn replace(&self, measure: &str, new: Vec<Finding>, measures: &[&str]) -> Result<()> {
        let list = self.folder.join(LIST);
        let old = if list.exists() { read(&list)? } else { Vec::new() };
        let all = merged(old, measure, new, measures);
        fs::create_dir_all(&self.folder)?;
        write(&list, &(serde_json::to_string_pretty(&all)? + "\n"))?;
        write(&self.folder.join("ratios.svg"), &chart::ratios(&all))?;
        write(&self.folder.join("figures.svg"), &chart::figures(&all))?;
        write(&self.folder.join("latest.md"), &report::markdown(&all))?;
        let Some(page) = &self.page else { return Ok(()) };
        write(page, &showing(&fs::read_to_string(page)?, &all)?)
    }
}

/// A page with the findings between its two marks.
fn showing(page: &str, all: &[Finding]) -> Result<String> {
    let (before, rest) = page.split_once(MARKS[0]).context("the page does not say where findings begin")?;
    let (_, after) = rest.split_once(MARKS[1]).context("the page does not say where findings end")?;
    Ok([before, MARKS[0], "\n", &report::rows(all), MARKS[1], after].concat())
}

fn read(list: &Path) -> Result<Vec<Finding>> {
    serde_json::from_slice(&fs::read(list)?).with_context(|| format!("{} is damaged", list.display()))
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
    use crate::stage::programs::{here, root};

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
    fn the_page_shows_what_was_found() {
        let page = root().join("docs/performance.md");
        let text = fs::read_to_string(&page).unwrap();
        let found = read(&here().join("results").join(LIST)).unwrap();
        assert!(showing(&text, &found).unwrap() == text, "{} is not of bench/results/{LIST}", page.display());
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
