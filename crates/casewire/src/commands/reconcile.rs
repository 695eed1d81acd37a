//! `casewire reconcile`: has a worker compare Twilio's lists with what is stored. The worker does it, because it has what
//! that needs, the account's opened tokens and the hands that make cases; so the command works beside `up` and from
//! any machine that reaches the database, and one worker at a time compares, however many people ask.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use casewire_store::{COMPARING, LineReport, Reconciliation};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::cli::{Place, ReconcileArgs};
use crate::installation::Installation;
use crate::printing::{complain, say};
use crate::table;

/// How long a worker may take to begin, where none compares already.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long nothing may move, neither the report nor the lease of who compares: longer than a page with all its
/// repetitions takes, and the next worker's turn.
const STANDSTILL: Duration = Duration::from_secs(600);
const WAITS: &str = "waits for a comparison that is under way";
const PAUSE: Duration = Duration::from_millis(200);

/// Exit status where gaps were found and closed.
const CLOSED: u8 = 3;

pub async fn run(place: &Place, args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    let here = Installation::open(place).await?;
    let report = if args.last {
        let last = here.store.reconciliations(1).await?.into_iter().next();
        last.context("nothing was compared yet: casewire reconcile --help")?
    } else {
        let id = here.store.request_reconciliation(args.since).await?;
        finished(&here, id).await?
    };
    print(&report, args.output.json)?;
    Ok(verdict(&report))
}

/// Waits for the report, and shows how far it has come.
async fn finished(here: &Installation, id: Uuid) -> anyhow::Result<Reconciliation> {
    let mut progress = Progress::start();
    let (mut moved, mut known) = (Instant::now(), Seen::default());
    loop {
        let report = here.store.reconciliation(id).await?;
        if let Some(done) = report.as_ref().filter(|report| report.finished_at.is_some()) {
            progress.count(done);
            progress.end();
            return Ok(done.clone());
        }
        let seen = Seen { report, leased_to: here.store.lease_until(COMPARING).await? };
        if seen != known {
            progress.show(&seen);
            (moved, known) = (Instant::now(), seen);
        }
        if moved.elapsed() > known.patience(Utc::now()) {
            progress.end();
            bail!(
                "no worker has {} the request; it stays, and the next worker to run does it",
                if known.report.is_some() { "finished" } else { "taken" }
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What can be seen of a request.
#[derive(Default, PartialEq)]
struct Seen {
    /// Its report, once a worker has taken it.
    report: Option<Reconciliation>,
    /// Until when a worker has the job of comparing, for this request or another; it is prolonged with every page.
    leased_to: Option<DateTime<Utc>>,
}

impl Seen {
    /// Whether another comparison comes first.
    fn waits(&self, now: DateTime<Utc>) -> bool {
        self.report.is_none() && self.leased_to.is_some_and(|until| until > now)
    }

    /// How long it may stay as it is.
    fn patience(&self, now: DateTime<Utc>) -> Duration {
        if self.report.is_some() || self.waits(now) { STANDSTILL } else { PATIENCE }
    }
}

/// How far a comparison has come: a bar for people, lines for logs.
enum Progress {
    Bar(ProgressBar),
    /// With the last one, which is not repeated.
    Lines(String),
}

impl Progress {
    fn start() -> Self {
        if !io::stderr().is_terminal() {
            return Self::Lines(String::new());
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} lines  {msg}  {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message("waiting for a worker");
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::Bar(bar)
    }

    fn show(&mut self, seen: &Seen) {
        match &seen.report {
            Some(report) => self.count(report),
            None if seen.waits(Utc::now()) => self.say(WAITS.to_owned()),
            None => {}
        }
    }

    fn count(&mut self, report: &Reconciliation) {
        let sum = |of: fn(&LineReport) -> u32| report.lines.iter().map(of).sum::<u32>();
        let (listed, brought) = (sum(|line| line.listed), sum(|line| line.brought_in));
        // The one in work is told of, too.
        let done = report.lines.iter().filter(|line| line.complete || line.trouble.is_some()).count();
        let (all, texts) = (report.lines_total, format!("{listed} texts listed, {brought} brought in"));
        match self {
            Self::Bar(bar) => {
                bar.set_length(all.into());
                bar.set_position(done as u64);
                self.say(texts);
            }
            Self::Lines(_) => self.say(format!("{done} of {all} lines, {texts}")),
        }
    }

    fn say(&mut self, text: String) {
        match self {
            Self::Bar(bar) => bar.set_message(text),
            Self::Lines(last) if *last != text => {
                complain(format_args!("{text}"));
                *last = text;
            }
            Self::Lines(_) => {}
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn print(report: &Reconciliation, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let whole = json!({
            "id": report.id, "asked_by": report.asked_by.as_str(), "since": report.since,
            "started_at": report.started_at, "finished_at": report.finished_at, "lines": report.lines,
        });
        say!("{}", serde_json::to_string_pretty(&whole)?)?;
        return Ok(());
    }
    let rows = report.lines.iter().map(|line| {
        let counts = [
            line.listed,
            line.known,
            line.brought_in,
            line.statuses_corrected,
            line.unknown_outbound,
            line.failures,
        ];
        let [listed, known, brought_in, corrected, unknown, failures] = counts.map(|count| count.to_string());
        let since = line.since.format("%Y-%m-%d %H:%M:%SZ").to_string();
        [line.line.clone(), since, listed, known, brought_in, corrected, unknown, failures, note(line)]
    });
    let header = ["LINE", "SINCE", "LISTED", "KNOWN", "BROUGHT IN", "STATUSES", "NOT OURS", "FAILED", "NOTE"];
    table::print(header, rows, "no active lines: casewire line add --help")
}

fn note(line: &LineReport) -> String {
    match (&line.trouble, line.set_aside) {
        (Some(trouble), _) => trouble.clone(),
        (None, 0) => String::new(),
        (None, aside) => format!("{aside} of them set aside: casewire dead-letter list"),
    }
}

fn verdict(report: &Reconciliation) -> ExitCode {
    let gap = |line: &LineReport| line.brought_in > 0 || line.statuses_corrected > 0;
    if report.finished_at.is_none() || report.lines.iter().any(|line| !line.complete) {
        ExitCode::FAILURE
    } else if report.lines.iter().any(gap) {
        ExitCode::from(CLOSED)
    } else {
        ExitCode::SUCCESS
    }
}

/// A time in the past, as people say it.
pub fn since(text: &str) -> Result<DateTime<Utc>, String> {
    let now = Utc::now();
    let at = ago(text).and_then(|ago| now.checked_sub_signed(ago)).or_else(|| moment(text));
    let at = at.ok_or("a time like 90m, 24h, 7d, 2026-11-19 or 2026-11-19T08:00:00Z")?;
    if at > now { Err("a time in the past".to_owned()) } else { Ok(at) }
}

fn ago(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    match unit {
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        _ => None,
    }
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    text.parse().ok().or_else(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_as_long_as_another_comparison_shows_that_it_lives() {
        let now = Utc::now();
        let seen = |lease: i64| Seen { report: None, leased_to: Some(now + TimeDelta::seconds(lease)) };
        assert!(seen(60).waits(now));
        assert_eq!([seen(60).patience(now), seen(-1).patience(now)], [STANDSTILL, PATIENCE]);
        assert!(seen(60) != seen(65), "it moved: the lease is longer");
        assert_eq!(Seen::default().patience(now), PATIENCE, "nobody compares");
    }

    #[test]
    fn a_time_is_given_as_an_age_a_day_or_a_moment() {
        let age = |text| {
            let at = since(text).unwrap();
            // Afterwards: an age is never less than what was said.
            (Utc::now() - at).num_minutes()
        };
        assert_eq!([age("90m"), age("24h"), age("7d")], [90, 1440, 10_080]);
        assert_eq!(since("2026-01-02").unwrap().to_rfc3339(), "2026-01-02T00:00:00+00:00");
        assert_eq!(since("2026-01-02T03:04:05+01:00").unwrap().to_rfc3339(), "2026-01-02T02:04:05+00:00");
        for wrong in ["", "h", "24", "-1h", "24x", "yesterday", "2026-13-01", "9999-01-01", "ü"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
