//! Provider against database: every hour, after a loss, and when somebody asks. What the provider took and we do not
//! know is brought in; what came of it all is a report.

use std::ops::Range;
use std::time::{Duration, Instant};

use casewire_domain::directory::AccountEntry;
use casewire_runtime::ops::Beat;
use casewire_store::{AskedBy, COMPARING, Error, LineReport, LineRow, Reconciliation};
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Sweepers;
use super::line::LineSweep;
use super::listing::{Listing, Unread};
use crate::credentials;
use crate::metrics::PROVIDER;

/// Compares the lists when it is time to, until told to stop.
pub(super) async fn run(sweepers: &Sweepers, beat: &Beat, stop: &CancellationToken) {
    let settings = &sweepers.settings;
    let mut due = Instant::now() + settings.reconcile_settle;
    // At the start the last comparison may be younger than the schedule's, so that what came while no worker ran is
    // found at once; but not with every restart.
    let mut interval = settings.reconcile_gap;
    while sweepers.rest(beat, stop).await {
        let turn = Turn { sweepers, beat, stop };
        let result = match turn.open().await {
            Ok(false) if due <= Instant::now() => {
                let next = turn.scheduled(interval).await;
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
            due = Instant::now() + settings.retry_most;
            // Not at once: the look for requests would fail the same way.
            let _ = stop.run_until_cancelled(tokio::time::sleep(settings.retry_most)).await;
        }
    }
}

struct Turn<'a> {
    sweepers: &'a Sweepers,
    beat: &'a Beat,
    stop: &'a CancellationToken,
}

impl Turn<'_> {
    /// Does what is written down to be done, one thing; whether there was any.
    async fn open(&self) -> Result<bool, Unread> {
        Ok(self.asked().await? || self.lost().await?)
    }

    /// Makes good what streams have lost; whether any had. All of it at once: the lists know of every stream's texts.
    async fn lost(&self) -> Result<bool, Unread> {
        if self.sweepers.records.open_losses().await?.is_empty() {
            return Ok(false);
        }
        self.alone(self.make_good()).await
    }

    async fn make_good(&self) -> Result<(), Unread> {
        let losses = self.sweepers.records.open_losses().await?;
        if losses.is_empty() {
            return Ok(());
        }
        let report = self.reconcile(Uuid::now_v7(), AskedBy::Loss, None).await?;
        // Lines that are troubled still are the schedule's, which does not wait for its hour then.
        for id in losses {
            self.sweepers.deps.database.finish_request(id, sentence(&report)).await?;
        }
        Ok(())
    }

    /// Does what a person asked for; whether anybody had.
    async fn asked(&self) -> Result<bool, Unread> {
        if self.sweepers.records.open_reconciliation().await?.is_none() {
            return Ok(false);
        }
        self.alone(self.answer()).await
    }

    async fn answer(&self) -> Result<(), Unread> {
        let Some((id, since)) = self.sweepers.records.open_reconciliation().await? else { return Ok(()) };
        let report = self.reconcile(id, AskedBy::Person, Some(since)).await?;
        Ok(self.sweepers.deps.database.finish_request(id, sentence(&report)).await?)
    }

    /// Carries out what is written down, from reading it to noting that it is done: what another worker did meanwhile would
    /// be done again, and its report, which has the same id, be told as what was found the second time.
    async fn alone(&self, work: impl Future<Output = Result<(), Unread>>) -> Result<bool, Unread> {
        if self.take().await? {
            let done = work.await;
            self.end().await?;
            done?;
        }
        Ok(true)
    }

    /// Does what the schedule asks for, unless anybody did within the interval. How long until the next time.
    async fn scheduled(&self, interval: Duration) -> Result<Duration, Unread> {
        let last = self.sweepers.records.last_reconciliation().await?;
        if let Some(left) = last.and_then(|last| self.left(&last, interval)) {
            return Ok(left);
        }
        if !self.take().await? {
            return Ok(self.sweepers.settings.sweep_lease);
        }
        let done = self.reconcile(Uuid::now_v7(), AskedBy::Schedule, None).await;
        self.end().await?;
        Ok(self.pause_after(&done?))
    }

    /// How long a comparison, any worker's, stands for the next.
    fn left(&self, last: &Reconciliation, interval: Duration) -> Option<Duration> {
        let since = (Utc::now() - last.finished_at?).to_std().ok()?;
        let left = interval.min(self.pause_after(last)).checked_sub(since)?;
        (!left.is_zero()).then_some(left)
    }

    fn pause_after(&self, report: &Reconciliation) -> Duration {
        let interval = self.sweepers.settings.reconcile_interval;
        // What went wrong is not left for a whole hour.
        if report.lines.iter().all(|line| line.complete) { interval } else { interval / 4 }
    }

    async fn take(&self) -> Result<bool, Error> {
        let Sweepers { records, holder, settings, .. } = self.sweepers;
        records.take_lease(COMPARING, *holder, settings.sweep_lease).await
    }

    async fn end(&self) -> Result<(), Error> {
        self.sweepers.records.end_lease(COMPARING, self.sweepers.holder).await
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
            let (compared, to, end) = self.compare(&report, line, account, from..until).await;
            report.lines.push(compared);
            if let Some(end) = end.filter(Unread::ends_all) {
                return Err(end);
            }
            // A comparison that began later than the last one ended leaves a gap that is still to be looked at.
            let gapless = since.is_none_or(|since| listed.is_some_and(|listed| since <= listed));
            if let Some(to) = to.filter(|_| gapless) {
                records.put_listed_to(line.id, to).await?;
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

    /// Compares one line. What was found, up to when it is compared, and why not to its end.
    async fn compare(
        &self,
        so_far: &Reconciliation,
        line: &LineRow,
        account: Option<&AccountEntry>,
        time: Range<DateTime<Utc>>,
    ) -> (LineReport, Option<DateTime<Utc>>, Option<Unread>) {
        let Self { sweepers, beat, stop } = *self;
        let credentials =
            account.map(|account| credentials::of(account, &sweepers.deps.master_key)).unwrap_or_default();
        let listing = Listing { sweepers, credentials, beat, stop };
        let name = &line.settings.webhook_id;
        let mut sweep = LineSweep::new(listing, line, so_far, time);
        let end = sweep.run().await.err();
        let (mut report, to) = (sweep.report, sweep.compared_to);
        if let Some(error) = &end {
            sweepers.metrics.sweeps.failed(PROVIDER);
            tracing::warn!(
                event = "line_not_compared",
                line = name,
                %error,
                "a line cannot be compared with the provider's list now"
            );
            report.trouble = Some(error.to_string());
        }
        (report, to, end)
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
