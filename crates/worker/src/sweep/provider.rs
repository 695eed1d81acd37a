//! Provider against database: every hour, after a loss, and when somebody asks. What the provider took and we do not
//! know is brought in; what came of it all is a report.

use std::time::{Duration, Instant};

use casewire_domain::directory::AccountEntry;
use casewire_runtime::ops::Beat;
use casewire_store::{AskedBy, Error, LineReport, LineRow, Reconciliation};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::line::LineSweep;
use super::listing::{Listing, Unread};
use super::{LEASE, Sweepers};
use crate::credentials;
use crate::metrics::PROVIDER;

/// The job that one worker at a time has.
pub(super) const JOB: &str = "sweep provider";

/// Compares the lists when it is time to, until told to stop.
pub(super) async fn run(sweepers: &Sweepers, beat: &Beat, stop: &CancellationToken) {
    let settings = &sweepers.settings;
    let mut due = Instant::now() + settings.reconcile_settle;
    // At the start the last comparison may be younger than the schedule's, so that what came while no worker ran is
    // found at once; but not with every restart.
    let mut interval = settings.reconcile_gap;
    while sweepers.rest(beat, stop).await {
        let lost = taken(&sweepers.lost).await;
        let turn = Turn { sweepers, beat, stop };
        let result = match turn.asked().await {
            Ok(false) if lost || due <= Instant::now() => {
                let by = if lost { AskedBy::Loss } else { AskedBy::Schedule };
                let next = turn.scheduled(by, interval).await;
                if let Ok(next) = &next {
                    due = Instant::now() + *next;
                    interval = settings.reconcile_interval;
                }
                next.map(drop)
            }
            other => other.map(drop),
        };
        if let Err(trouble) = result {
            sweepers.metrics.sweeps.failed(PROVIDER);
            tracing::warn!(event = "sweep_failed", %trouble, "the provider's lists cannot be compared now");
            if lost {
                sweepers.lost.notify_one();
            }
            due = Instant::now() + settings.retry_most;
            // Not at once: the look for requests would fail the same way.
            let _ = stop.run_until_cancelled(tokio::time::sleep(settings.retry_most)).await;
        }
    }
}

/// Whether somebody has told, without waiting for it.
async fn taken(notify: &Notify) -> bool {
    tokio::time::timeout(Duration::ZERO, notify.notified()).await.is_ok()
}

struct Turn<'a> {
    sweepers: &'a Sweepers,
    beat: &'a Beat,
    stop: &'a CancellationToken,
}

impl Turn<'_> {
    /// Does what a person asked for; whether anybody had.
    async fn asked(&self) -> Result<bool, Unread> {
        let Some((id, since)) = self.sweepers.records.open_reconciliation().await? else { return Ok(false) };
        if !self.take().await? {
            return Ok(true);
        }
        let done = self.reconcile(id, AskedBy::Person, Some(since)).await;
        self.end().await?;
        let report = done?;
        self.sweepers.deps.database.finish_request(id, sentence(&report)).await?;
        Ok(true)
    }

    /// Does what the schedule asks for, unless anybody did within the interval. How long until the next time.
    async fn scheduled(&self, by: AskedBy, interval: Duration) -> Result<Duration, Unread> {
        let settings = &self.sweepers.settings;
        let last = self.sweepers.records.reconciled_at().await?;
        let since = last.and_then(|last| (Utc::now() - last).to_std().ok());
        if let Some(left) = since.and_then(|since| interval.checked_sub(since))
            && by == AskedBy::Schedule
            && !left.is_zero()
        {
            return Ok(left);
        }
        if !self.take().await? {
            return Ok(LEASE);
        }
        let done = self.reconcile(Uuid::now_v7(), by, None).await;
        self.end().await?;
        let troubled = done?.lines.iter().any(|line| !line.complete);
        // What went wrong is not left for a whole hour.
        Ok(if troubled { settings.reconcile_interval / 4 } else { settings.reconcile_interval })
    }

    async fn take(&self) -> Result<bool, Error> {
        self.sweepers.records.take_lease(JOB, self.sweepers.holder, LEASE).await
    }

    async fn end(&self) -> Result<(), Error> {
        self.sweepers.records.end_lease(JOB, self.sweepers.holder).await
    }

    /// Compares every line from `since` on, or from where it was compared to. Lines go on without those that fail.
    async fn reconcile(
        &self,
        id: Uuid,
        asked_by: AskedBy,
        since: Option<DateTime<Utc>>,
    ) -> Result<Reconciliation, Unread> {
        let begun = Instant::now();
        let records = &self.sweepers.records;
        let directory = self.sweepers.deps.database.directory().await?;
        let lines: Vec<_> = records.lines().await?.into_iter().filter(|line| line.active).collect();
        let listed_to = records.listed_to().await?;
        let started_at = Utc::now();
        let lines_total = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let mut report = Reconciliation {
            id,
            asked_by,
            since,
            started_at,
            finished_at: None,
            lines_total,
            lines: Vec::new(),
        };
        records.put_reconciliation(report.clone()).await?;
        for line in &lines {
            let listed = listed_to.get(&line.id).copied();
            let from = since.unwrap_or_else(|| self.beginning(line, listed, started_at));
            let account = directory.accounts.iter().find(|account| account.sid == line.account_sid);
            let until = self.until(started_at).await;
            let (compared, end) = self.compare(line, account, from, until).await;
            let whole = compared.complete;
            report.lines.push(compared);
            if let Some(end @ (Unread::Stopped | Unread::TakenOver | Unread::Database(_))) = end {
                return Err(end);
            }
            // A comparison that began later than the last one ended leaves a gap that is still to be looked at.
            if whole && since.is_none_or(|since| listed.is_some_and(|listed| since <= listed)) {
                records.put_listed_to(line.id, until).await?;
            }
            records.put_reconciliation(report.clone()).await?;
        }
        report.finished_at = Some(Utc::now());
        records.put_reconciliation(report.clone()).await?;
        self.sweepers.metrics.sweeps.swept(PROVIDER, begun.elapsed());
        tell(&report);
        Ok(report)
    }

    /// From when on a line is compared: a little before where the last comparison ended, for the provider's clock is
    /// not ours and its list may be late.
    fn beginning(&self, line: &LineRow, listed: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
        let settings = &self.sweepers.settings;
        let back = |from: DateTime<Utc>, by| {
            TimeDelta::from_std(by).ok().and_then(|by| from.checked_sub_signed(by)).unwrap_or(from)
        };
        match listed {
            Some(listed) => back(listed, settings.reconcile_overlap),
            None => back(now, settings.reconcile_first).max(line.created_at),
        }
    }

    /// Up to when what is missing is a gap: what is younger, or waits in the stream behind others, is on its way.
    async fn until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let settle = TimeDelta::from_std(self.sweepers.settings.sweep_settle).unwrap_or_default();
        // A stream that cannot be asked holds nothing that could be counted on.
        let backlog = self.sweepers.deps.stream.backlog().await.unwrap_or_default();
        let oldest = backlog.iter().filter_map(|shard| shard.oldest_at).min();
        oldest.map_or(now, |oldest| oldest.min(now)) - settle
    }

    async fn compare(
        &self,
        line: &LineRow,
        account: Option<&AccountEntry>,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> (LineReport, Option<Unread>) {
        let Self { sweepers, beat, stop } = *self;
        let credentials =
            account.map(|account| credentials::of(account, &sweepers.deps.master_key)).unwrap_or_default();
        let listing = Listing { sweepers, credentials, beat, stop };
        let name = &line.settings.webhook_id;
        let report = LineReport { line: name.clone(), since, ..LineReport::default() };
        let mut sweep = LineSweep { listing, line, since, until, report };
        let end = sweep.run().await.err();
        let mut report = sweep.report;
        if let Some(error) = &end {
            sweepers.metrics.sweeps.failed(PROVIDER);
            tracing::warn!(event = "line_not_compared", line = name, %error, "a line cannot be compared with the provider's list now");
            report.trouble = Some(error.to_string());
        }
        (report, end)
    }
}

/// What came of a comparison, in a sentence.
fn sentence(report: &Reconciliation) -> String {
    let sum = |of: fn(&LineReport) -> u32| report.lines.iter().map(of).sum::<u32>();
    let troubled = report.lines.iter().filter(|line| !line.complete).count();
    format!(
        "{} lines, {} texts listed, {} brought in, {} statuses corrected, {troubled} lines not compared to the end",
        report.lines.len(),
        sum(|line| line.listed),
        sum(|line| line.brought_in),
        sum(|line| line.statuses_corrected),
    )
}

fn tell(report: &Reconciliation) {
    let brought_in: u32 = report.lines.iter().map(|line| line.brought_in).sum();
    let result = sentence(report);
    if brought_in > 0 {
        tracing::error!(
            event = "sweeper_rescued",
            sweeper = PROVIDER,
            rescued = brought_in,
            result,
            "texts that the provider had taken were missing and are in their cases now"
        );
    } else {
        tracing::info!(event = "reconciled", result, "the provider's lists were compared");
    }
}
