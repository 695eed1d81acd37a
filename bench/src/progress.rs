//! A line that says how far it is: a bar on a terminal, a line for each step elsewhere.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How far the running measure is.
pub(crate) struct Progress {
    bar: RefCell<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bar: RefCell::new(ProgressBar::hidden()) }
    }

    /// A measure of so many steps begins.
    pub(crate) fn begin(&self, measure: &str, steps: usize) {
        let bar = ProgressBar::new(steps as u64).with_prefix(measure.to_owned());
        // A template that cannot be read leaves the usual one.
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>16} [{bar:24}] {pos}/{len} {msg} ({elapsed})")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        self.bar.replace(bar).finish_and_clear();
    }

    /// The next step begins.
    pub(crate) fn step(&self, what: &str) {
        let bar = self.bar.borrow();
        bar.set_message(what.to_owned());
        if bar.is_hidden() {
            // Whoever cannot be told goes without.
            let _ = writeln!(
                io::stderr(),
                "{}: {}/{} {what}",
                bar.prefix(),
                bar.position() + 1,
                bar.length().unwrap_or(0)
            );
        }
        bar.inc(1);
    }

    /// Nothing runs any more.
    pub(crate) fn end(&self) {
        self.bar.borrow().finish_and_clear();
    }
}
