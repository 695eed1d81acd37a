//! One account's messages at the provider, page by page, with patience and with whichever token is accepted.

use std::time::{Duration, Instant};

use casewire_domain::Media;
use casewire_runtime::ops::Beat;
use casewire_store::{COMPARING, Error};
use casewire_twilio::rest::{Credentials, List, NextPage, Page, ReadError, Trouble};
use tokio_util::sync::CancellationToken;

use super::Sweepers;
use crate::backoff::Backoff;

/// Messages a page: Twilio's most, so that a day of a busy number is a few requests.
const PAGE: u16 = 1_000;

/// Between two tries the sweeper shows that it lives.
const STEP: Duration = Duration::from_secs(5);

/// Why a list was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The provider gave none, often enough. The next sweep tries again.
    #[error(transparent)]
    Provider(#[from] ReadError),
    /// Retry later.
    #[error(transparent)]
    Database(#[from] Error),
    /// None of the account's tokens can be opened or is accepted. A person must act.
    #[error("no token of the account is accepted")]
    NoToken,
    /// It is longer than one sweep reads.
    #[error("the list has more than {0} pages")]
    TooLong(u32),
    /// Another worker took over: this one was too slow.
    #[error("another worker compares the lists now")]
    TakenOver,
    /// The process ends.
    #[error("the process ends")]
    Stopped,
}

impl Unread {
    /// Whether this is the end of the whole comparison, and not only of a list.
    pub(super) fn ends_all(&self) -> bool {
        matches!(self, Self::Stopped | Self::TakenOver | Self::Database(_))
    }
}

/// What is asked of the provider.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    First(&'a List<'a>),
    Next(&'a NextPage),
    Media(&'a str),
}

/// What it answers.
enum Answer {
    Page(Page),
    Media(Vec<Media>),
}

/// Reads the lists of one account.
pub(super) struct Listing<'a> {
    pub(super) sweepers: &'a Sweepers,
    /// With each of its tokens; the one that was refused last is tried last.
    pub(super) credentials: Vec<Credentials>,
    pub(super) beat: &'a Beat,
    pub(super) stop: &'a CancellationToken,
}

impl Listing<'_> {
    /// The first page.
    pub(super) async fn first(&mut self, list: List<'_>) -> Result<Page, Unread> {
        self.page(Ask::First(&List { page_size: PAGE, ..list })).await
    }

    /// The page after another, which was the `read`th.
    pub(super) async fn next(&mut self, next: &NextPage, read: u32) -> Result<Page, Unread> {
        let most = self.sweepers.settings.reconcile_pages.get();
        if read >= most {
            return Err(Unread::TooLong(most));
        }
        self.page(Ask::Next(next)).await
    }

    async fn page(&mut self, ask: Ask<'_>) -> Result<Page, Unread> {
        match self.patiently(ask).await? {
            Answer::Page(page) => Ok(page),
            Answer::Media(_) => Err(Unread::Provider(Trouble::UnreadableAnswer.into())),
        }
    }

    /// The files of a message.
    pub(super) async fn media(&mut self, sid: &str) -> Result<Vec<Media>, Unread> {
        match self.patiently(Ask::Media(sid)).await? {
            Answer::Media(media) => Ok(media),
            Answer::Page(_) => Err(Unread::Provider(Trouble::UnreadableAnswer.into())),
        }
    }

    /// Asks again after what passes: a limit of requests, a connection, a server's bad moment.
    async fn patiently(&mut self, ask: Ask<'_>) -> Result<Answer, Unread> {
        let settings = &self.sweepers.settings;
        let mut backoff = Backoff::new(settings.reconcile_retry_first, settings.reconcile_retry_most);
        let mut tries = 1;
        loop {
            self.alive().await?;
            let error = match self.ask(ask).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let (Unread::Provider(ReadError::Unavailable { retry_after, .. }), true) =
                (&error, tries < settings.reconcile_tries.get())
            else {
                return Err(error);
            };
            tries += 1;
            let pause = retry_after.unwrap_or_default().min(settings.reconcile_retry_most);
            self.pause(backoff.next().max(pause)).await?;
        }
    }

    /// Asks once, with the tokens in their turn.
    async fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, Unread> {
        for _ in 0..self.credentials.len() {
            let Some(credentials) = self.credentials.first() else { break };
            let provider = &self.sweepers.deps.provider;
            let begun = Instant::now();
            let answer = match ask {
                Ask::First(list) => provider.list(credentials, list).await.map(Answer::Page),
                Ask::Next(next) => provider.list_next(credentials, next).await.map(Answer::Page),
                Ask::Media(sid) => provider.media(credentials, sid).await.map(Answer::Media),
            };
            self.sweepers.metrics.sends.listed(answer.as_ref().err(), begun.elapsed());
            match answer {
                Err(ReadError::AccountRefused { .. }) => self.credentials.rotate_left(1),
                answer => return Ok(answer?),
            }
        }
        Err(Unread::NoToken)
    }

    async fn pause(&self, whole: Duration) -> Result<(), Unread> {
        let mut left = whole;
        while !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            // Waited out or stopped: the next line says which.
            let _ = self.stop.run_until_cancelled(tokio::time::sleep(step)).await;
            self.alive().await?;
        }
        Ok(())
    }

    /// A sign of life: to the process, and to other workers.
    pub(super) async fn alive(&self) -> Result<(), Unread> {
        self.beat.now();
        if self.stop.is_cancelled() {
            return Err(Unread::Stopped);
        }
        let Sweepers { records, holder, settings, .. } = self.sweepers;
        let ours = records.take_lease(COMPARING, *holder, settings.sweep_lease).await?;
        if ours { Ok(()) } else { Err(Unread::TakenOver) }
    }
}
