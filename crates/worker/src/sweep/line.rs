//! One line against the provider's list: customers' texts that are missing are brought in, statuses that are behind
//! are corrected, and what casewire did not send is counted.

use std::ops::Range;

use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::{Address, DedupeId, DeliveryStatus, Progress};
use casewire_store::{LineReport, LineRow, Reconciliation};
use casewire_twilio::listed::status_event;
use casewire_twilio::rest::{Direction, List, Message, Page};
use chrono::{DateTime, TimeDelta, Utc};

use super::listing::{Listing, Unread};
use crate::reading;

/// One line and the time to compare.
pub(super) struct LineSweep<'a> {
    pub(super) listing: Listing<'a>,
    pub(super) line: &'a LineRow,
    pub(super) since: DateTime<Utc>,
    /// What is younger is on its way still.
    pub(super) until: DateTime<Utc>,
    /// The report that this line's will be part of.
    so_far: &'a Reconciliation,
    pub(super) report: LineReport,
    /// Every customer's text up to then is in.
    pub(super) inbound_to: Option<DateTime<Utc>>,
    /// So far the line need not be compared again.
    pub(super) compared_to: Option<DateTime<Utc>>,
}

impl<'a> LineSweep<'a> {
    pub(super) fn new(
        listing: Listing<'a>,
        line: &'a LineRow,
        so_far: &'a Reconciliation,
        time: Range<DateTime<Utc>>,
    ) -> Self {
        let Range { start: since, end: until } = time;
        let report = LineReport { line: line.settings.webhook_id.clone(), since, ..LineReport::default() };
        Self { listing, line, since, until, so_far, report, inbound_to: None, compared_to: None }
    }

    /// Compares the line; the report is as true whether it comes to its end or not.
    pub(super) async fn run(&mut self) -> Result<(), Unread> {
        let inbound = self.inbound().await;
        if self.inbound_to.is_none() || inbound.as_ref().is_err_and(Unread::ends_all) {
            return inbound;
        }
        let outbound = self.outbound().await;
        // A list that is too long will not be shorter the next time it is read from the same time on. What of it could
        // be read is corrected.
        if matches!(outbound, Ok(()) | Err(Unread::TooLong(_))) {
            self.compared_to = self.inbound_to;
        }
        inbound.and(outbound)?;
        self.report.complete = true;
        Ok(())
    }

    /// Shows how far it has come: somebody may be waiting.
    pub(super) async fn show(&self) -> Result<(), Unread> {
        let mut so_far = self.so_far.clone();
        so_far.lines.push(self.report.clone());
        Ok(self.listing.sweepers.records.put_reconciliation(so_far).await?)
    }

    /// The number that the provider's lists can be asked about; none for a Messaging Service, whose texts are found
    /// among all of the account.
    pub(super) fn number(&self) -> Option<&Address> {
        let address = &self.line.settings.address;
        (!address.reveal().starts_with("MG")).then_some(address)
    }

    pub(super) fn is_ours(&self, message: &Message) -> bool {
        let service = self.line.settings.address.reveal();
        self.number().is_some() || message.messaging_service_sid.as_deref() == Some(service)
    }

    /// Whether it is old enough to have come by itself.
    pub(super) fn settled(&self, message: &Message) -> bool {
        message.sent_at.or(message.created_at).is_some_and(|at| at <= self.until)
    }

    pub(super) fn id(&self, text: &Message) -> Option<DedupeId> {
        DedupeId::new(format!("i:{}:{}", self.line.account_sid, text.sid))
    }

    pub(super) async fn handle(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, Unread> {
        self.listing.alive().await?;
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let Listing { sweepers, beat, stop, .. } = &self.listing;
        Ok(sweepers.handle(commands, beat, stop).await?)
    }

    /// Texts of ours. What was not sent yet has no such time, so that the list is read until it is older than asked for.
    async fn outbound(&mut self) -> Result<(), Unread> {
        let number = self.number().cloned();
        let mut page = self.listing.first(List { from: number.as_ref(), ..List::default() }).await?;
        let mut read = 1;
        loop {
            let behind = self.compare(&page).await?;
            for commands in behind.chunks(self.listing.sweepers.settings.batch_size.get() as usize) {
                let outcomes = self.handle(commands.to_vec()).await?;
                let corrected = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Reported { .. }));
                let corrected = count(corrected.count());
                self.report.statuses_corrected += corrected;
                self.report.known += count(outcomes.len()).saturating_sub(corrected);
                self.listing.sweepers.metrics.sweeps.corrected(corrected);
            }
            let is_old = |it: &Message| it.created_at.is_some_and(|at| at < self.since);
            let Some(next) = page.next.filter(|_| !page.messages.iter().all(is_old)) else { break };
            self.show().await?;
            page = self.listing.next(&next, read).await?;
            read += 1;
        }
        Ok(())
    }

    /// The statuses of a page that are behind here.
    async fn compare(&mut self, page: &Page) -> Result<Vec<Command>, Unread> {
        // The list tells whole seconds: what is of the last one may have been sent since we began.
        let until = self.until - TimeDelta::seconds(1);
        let in_time = |it: &&Message| it.created_at.is_some_and(|at| at >= self.since && at <= until);
        let texts = page.messages.iter().filter(|it| it.direction != Direction::Inbound && self.is_ours(it));
        let texts: Vec<&Message> = texts.filter(in_time).collect();
        let sids: Vec<String> = texts.iter().map(|text| text.sid.clone()).collect();
        let LineRow { account_sid, settings, .. } = self.line;
        let ours = self.listing.sweepers.records.outbound_progress(account_sid, &sids).await?;
        self.report.listed += count(texts.len());
        let mut behind = Vec::new();
        for text in texts {
            let Some(progress) = ours.get(&text.sid) else {
                self.report.unknown_outbound += 1;
                continue;
            };
            match status_event(account_sid, &settings.webhook_id, text, Utc::now()) {
                Some(event) if is_behind(*progress, text) => behind.push(reading::command(&event)),
                _ => self.report.known += 1,
            }
        }
        Ok(behind)
    }
}

/// Whether the list knows more of a text than we do. Before it was sent there is nothing worth a report.
fn is_behind(known: Progress, listed: &Message) -> bool {
    let Some(status) = listed.status.filter(|status| *status >= DeliveryStatus::Sent) else { return false };
    let told = Progress::of(status, listed.error_code);
    known.join(told) != known
}

pub(super) fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
