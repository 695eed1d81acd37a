//! One line against the provider's list: customers' texts that are missing are brought in, statuses that are behind
//! are corrected, and what casewire did not send is counted.

use std::collections::HashSet;

use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::{Address, DedupeId, DeliveryStatus, Progress};
use casewire_store::{LineReport, LineRow};
use casewire_twilio::listed::{inbound_event, status_event};
use casewire_twilio::rest::{Direction, List, Message, Page};
use chrono::{DateTime, TimeDelta, Utc};

use super::listing::{Listing, Unread};
use crate::metrics::PROVIDER;
use crate::reading;

/// One line and the time to compare.
pub(super) struct LineSweep<'a> {
    pub(super) listing: Listing<'a>,
    pub(super) line: &'a LineRow,
    pub(super) since: DateTime<Utc>,
    /// What is younger is on its way still.
    pub(super) until: DateTime<Utc>,
    pub(super) report: LineReport,
}

impl LineSweep<'_> {
    /// Compares the line; the report is as true whether it comes to its end or not.
    pub(super) async fn run(&mut self) -> Result<(), Unread> {
        self.inbound().await?;
        self.outbound().await?;
        self.report.complete = self.report.failures == 0;
        Ok(())
    }

    /// The number that the provider's lists can be asked about; none for a Messaging Service, whose texts are found
    /// among all of the account.
    fn number(&self) -> Option<&Address> {
        let address = &self.line.settings.address;
        (!address.reveal().starts_with("MG")).then_some(address)
    }

    fn is_ours(&self, message: &Message) -> bool {
        let service = self.line.settings.address.reveal();
        self.number().is_some() || message.messaging_service_sid.as_deref() == Some(service)
    }

    /// Customers' texts. They are all sent, so that the list can be asked by that time.
    async fn inbound(&mut self) -> Result<(), Unread> {
        let number = self.number().cloned();
        let list = List { to: number.as_ref(), sent_after: Some(self.since), ..List::default() };
        let mut missing = Vec::new();
        let mut page = self.listing.first(list).await?;
        let mut read = 1;
        loop {
            missing.extend(self.missing(&page).await?);
            let Some(next) = page.next else { break };
            page = self.listing.next(&next, read).await?;
            read += 1;
        }
        // As they came, so that a conversation's first text opens its case.
        missing.reverse();
        self.bring_in(missing).await
    }

    /// The texts of a page that have no row here, newest first as they are listed.
    async fn missing(&mut self, page: &Page) -> Result<Vec<Message>, Unread> {
        let texts = page.messages.iter().filter(|it| it.direction == Direction::Inbound && self.is_ours(it));
        let texts: Vec<&Message> = texts.filter(|it| self.settled(it)).collect();
        let ids: Vec<DedupeId> = texts.iter().filter_map(|text| self.id(text)).collect();
        let missing = self.listing.sweepers.records.missing_events(&ids).await?;
        let missing: HashSet<DedupeId> = missing.into_iter().collect();
        self.report.listed += count(texts.len());
        self.report.known += count(texts.len().saturating_sub(missing.len()));
        let is_missing = |text: &&&Message| self.id(text).is_some_and(|id| missing.contains(&id));
        Ok(texts.iter().filter(is_missing).map(|text| (*text).clone()).collect())
    }

    /// Whether it is old enough to have come by itself.
    fn settled(&self, message: &Message) -> bool {
        message.sent_at.or(message.created_at).is_some_and(|at| at <= self.until)
    }

    fn id(&self, text: &Message) -> Option<DedupeId> {
        DedupeId::new(format!("i:{}:{}", self.line.account_sid, text.sid))
    }

    async fn bring_in(&mut self, texts: Vec<Message>) -> Result<(), Unread> {
        let most = self.listing.sweepers.settings.batch_size.get() as usize;
        for texts in texts.chunks(most) {
            let mut commands = Vec::with_capacity(texts.len());
            for text in texts {
                match self.command(text).await {
                    Ok(command) => commands.push(command),
                    // One text whose files cannot be had now is left to the next sweep; the others do not wait for it.
                    Err(Unread::Provider(error)) => {
                        self.report.failures += 1;
                        self.report.trouble = Some(format!("a text's files cannot be listed: {error}"));
                    }
                    Err(error) => return Err(error),
                }
            }
            let outcomes = self.handle(commands).await?;
            let brought = outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Duplicate)).count();
            let aside = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::SetAside(_))).count();
            self.report.brought_in += count(brought);
            self.report.set_aside += count(aside);
            self.report.known += count(outcomes.len() - brought);
            self.listing.sweepers.metrics.sweeps.rescued(PROVIDER, brought);
        }
        Ok(())
    }

    async fn command(&mut self, text: &Message) -> Result<Command, Unread> {
        let media = if text.media > 0 { self.listing.media(&text.sid).await? } else { Vec::new() };
        let LineRow { account_sid, settings, .. } = self.line;
        Ok(reading::command(&inbound_event(account_sid, &settings.webhook_id, text, &media, Utc::now())))
    }

    async fn handle(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, Unread> {
        self.listing.alive().await?;
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.listing.sweepers.handle(commands).await?)
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

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
