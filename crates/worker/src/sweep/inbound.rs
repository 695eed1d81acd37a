//! Customers' texts of one line: those that are missing are brought in, the oldest first.

use std::collections::HashSet;

use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::{DedupeId, Media};
use casewire_store::LineRow;
use casewire_twilio::listed::inbound_event;
use casewire_twilio::rest::{Direction, List, Message, Page};
use chrono::Utc;

use super::line::{LineSweep, count};
use super::listing::Unread;
use super::window::{Window, Windows};
use crate::metrics::PROVIDER;
use crate::reading;

impl LineSweep<'_> {
    /// Brings in what is missing, a window of time after the other: what is in stays in, however long all of it is.
    pub(super) async fn inbound(&mut self) -> Result<(), Unread> {
        let mut windows = Windows::new(self.since, self.until);
        while let Some(window) = windows.next() {
            match self.window(window).await {
                // A busier time than most.
                Err(Unread::TooLong(_)) if windows.shorten() => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.inbound_to = Some(window.to.unwrap_or(self.until));
                    windows.read();
                }
            }
        }
        Ok(())
    }

    /// Customers' texts are all sent, so that the list can be asked by that time.
    async fn window(&mut self, window: Window) -> Result<(), Unread> {
        let number = self.number().cloned();
        let Window { from, to } = window;
        let list = List { to: number.as_ref(), sent_after: Some(from), sent_before: to, ..List::default() };
        let before = self.report.clone();
        let mut missing = Vec::new();
        let mut page = self.listing.first(list).await?;
        let mut read = 1;
        loop {
            missing.extend(self.missing(&page, window).await?);
            let Some(next) = page.next else { break };
            self.show().await?;
            page = match self.listing.next(&next, read).await {
                // These are read again.
                Err(error @ Unread::TooLong(_)) => {
                    self.report = before;
                    return Err(error);
                }
                page => page?,
            };
            read += 1;
        }
        // As they came, so that a conversation's first text opens its case.
        missing.reverse();
        self.bring_in(missing).await
    }

    /// The texts of a page that have no row here, newest first as they are listed.
    async fn missing(&mut self, page: &Page, window: Window) -> Result<Vec<Message>, Unread> {
        let texts = page.messages.iter().filter(|it| it.direction == Direction::Inbound && self.is_ours(it));
        let texts: Vec<&Message> = texts.filter(|it| self.settled(it) && window.has(it)).collect();
        let ids: Vec<DedupeId> = texts.iter().filter_map(|text| self.id(text)).collect();
        let missing = self.listing.sweepers.records.missing_events(&ids).await?;
        let missing: HashSet<DedupeId> = missing.into_iter().collect();
        self.report.listed += count(texts.len());
        self.report.known += count(texts.len().saturating_sub(missing.len()));
        let is_missing = |text: &&&Message| self.id(text).is_some_and(|id| missing.contains(&id));
        Ok(texts.iter().filter(is_missing).map(|text| (*text).clone()).collect())
    }

    async fn bring_in(&mut self, texts: Vec<Message>) -> Result<(), Unread> {
        let most = self.listing.sweepers.settings.batch_size.get() as usize;
        for texts in texts.chunks(most) {
            let mut commands = Vec::with_capacity(texts.len());
            for text in texts {
                commands.push(self.command(text).await?);
            }
            let outcomes = self.handle(commands).await?;
            let brought = outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Duplicate)).count();
            let aside = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::SetAside(_))).count();
            self.report.brought_in += count(brought);
            self.report.set_aside += count(aside);
            self.report.known += count(outcomes.len() - brought);
            self.listing.sweepers.metrics.sweeps.rescued(PROVIDER, brought);
            self.show().await?;
        }
        Ok(())
    }

    async fn command(&mut self, text: &Message) -> Result<Command, Unread> {
        let media = self.files(text).await?;
        let LineRow { account_sid, settings, .. } = self.line;
        Ok(reading::command(&inbound_event(account_sid, &settings.webhook_id, text, &media, Utc::now())))
    }

    /// The files of a text. Where they cannot be had, in all its patience, the text goes to its case without them, and
    /// the report says so: somebody asks for help in it, and those after it must not wait either.
    async fn files(&mut self, text: &Message) -> Result<Vec<Media>, Unread> {
        if text.media == 0 {
            return Ok(Vec::new());
        }
        match self.listing.media(&text.sid).await {
            Err(Unread::Provider(error)) => {
                self.report.failures += 1;
                self.report.trouble = Some(format!("texts are in without their files: {error}"));
                Ok(Vec::new())
            }
            media => media,
        }
    }
}
