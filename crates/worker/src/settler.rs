//! Uncertain texts for which no callback comes: looked for on the provider's list, three times, by one of all workers.
//! What is learnt becomes a command like everything else; whose an id on the list is, the rules say
//! ([`casewire_domain::settle`]).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use casewire_domain::command::Command;
use casewire_domain::line::WhenUncertain;
use casewire_domain::settle::{Answer, Listed, Look, SKEW};
use casewire_runtime::config;
use casewire_store::{Error, LookFor, Unsettled};
use casewire_twilio::rest::{Credentials, Direction, List, Message, ReadError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::breakers::Breakers;
use crate::metrics::Metrics;
use crate::{Deps, credentials};

/// Looks for uncertain texts, so many at once.
pub(crate) struct Settler {
    reader: Arc<Reader>,
    places: Arc<Semaphore>,
}

/// What every look needs.
struct Reader {
    settings: config::Sender,
    deps: Arc<Deps>,
    metrics: Arc<Metrics>,
    breakers: Arc<Breakers>,
    outcomes: mpsc::Sender<Command>,
}

impl Settler {
    pub(crate) fn new(
        settings: config::Sender,
        deps: &Arc<Deps>,
        metrics: &Arc<Metrics>,
        breakers: Arc<Breakers>,
        outcomes: mpsc::Sender<Command>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(settings.settle_concurrency.get() as usize));
        let (deps, metrics) = (deps.clone(), metrics.clone());
        Self { reader: Arc::new(Reader { settings, deps, metrics, breakers, outcomes }), places }
    }

    /// Works until told to stop. A look under way then is given up, since a list can take minutes; it is made again
    /// once its lease has run out.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let settings = &self.reader.settings;
        let beat = self.reader.deps.health.task("settler");
        let mut backoff = Backoff::new(settings.settle_poll, settings.retry_most);
        while !stop.is_cancelled() {
            beat.now();
            match self.round(&stop).await {
                Ok(all) => {
                    backoff.reset();
                    // Waited out or stopped: the loop looks again.
                    let _ = stop.run_until_cancelled(self.pause(all)).await;
                }
                Err(error) => {
                    tracing::warn!(event = "unsettled_unread", %error, "uncertain texts cannot be read");
                    backoff.pause(&stop).await;
                }
            }
        }
        Ok(())
    }

    /// Takes as many texts as there are places and starts looking for them. Whether these were all.
    async fn round(&self, stop: &CancellationToken) -> Result<bool, Error> {
        let most = self.places.available_permits();
        if most == 0 {
            return Ok(false);
        }
        let reader = &self.reader;
        let look = LookFor {
            most,
            after: reader.settings.looks().to_vec(),
            lease: reader.settings.settle_lease,
            paused: reader.breakers.paused(),
        };
        let due = reader.deps.database.due_uncertain(look).await?;
        let all = due.len() < most;
        for text in due {
            // Only rounds take places, so as many are free still.
            let Ok(place) = self.places.clone().acquire_owned().await else { break };
            let (look, stop) = (reader.clone().look(text, place), stop.clone());
            // It hands over what it learnt by itself, or never.
            tokio::spawn(async move { stop.run_until_cancelled(look).await });
        }
        Ok(all)
    }

    /// Waits before the next round: for a place where more is due than there were places for.
    async fn pause(&self, all: bool) {
        let settings = &self.reader.settings;
        if all {
            return sleep(settings.settle_poll).await;
        }
        sleep(settings.claim_interval).await;
        // An error is the end, which the caller sees.
        let _ = self.places.acquire().await;
    }
}

impl Reader {
    /// Reads the list for one text and hands over what it says; then its place is free.
    async fn look(self: Arc<Self>, text: Unsettled, place: OwnedSemaphorePermit) {
        let looks = usize::try_from(text.looks).unwrap_or(usize::MAX);
        // Looks that failed do not count: by the time of the last one a person is asked all the same.
        let last =
            looks.saturating_add(1) >= self.settings.looks().len() || text.age >= self.settings.settle_last;
        let answer = if self.breakers.paused().contains(&text.account.id) {
            Answer::Unreadable { retry_after: self.settings.refused_pause }
        } else {
            self.read(&text, last).await
        };
        let answer = if last { answer } else { self.in_time(answer, text.age) };
        self.metrics.settling.look(&answer);
        let look = Look {
            message_id: text.message_id,
            attempt: text.attempt,
            last,
            resends_most: self.settings.resends_most.get(),
            answer,
        };
        // The recorder outlives every look; where it is gone the process is being cut off.
        let _ = self.outcomes.send(Command::Looked(look)).await;
        drop(place);
    }

    /// No pause puts off the time by which a person is asked.
    fn in_time(&self, answer: Answer, age: Duration) -> Answer {
        match answer {
            Answer::Unreadable { retry_after } => {
                let left = self.settings.settle_last.saturating_sub(age);
                Answer::Unreadable { retry_after: retry_after.min(left) }
            }
            listed @ Answer::Listed { .. } => listed,
        }
    }

    /// Reads with the newest token, and with the older one where that is refused.
    async fn read(&self, text: &Unsettled, last: bool) -> Answer {
        // A text that would be sent again must be missing from the whole list, in whatever order it comes.
        let thorough = last && text.when_uncertain == WhenUncertain::Resend;
        for credentials in credentials::of(&text.account, &self.deps.master_key) {
            match self.pages(&credentials, text, thorough).await {
                Ok((texts, complete)) => return Answer::Listed { texts, complete },
                Err(ReadError::AccountRefused { http_status, code }) => tracing::warn!(
                    event = "token_refused",
                    account = text.account.sid,
                    http_status,
                    code,
                    "the provider refuses a token of an account, or the account"
                ),
                Err(error) => return self.unreadable(text, &error),
            }
        }
        self.breakers.open(text.account.id, self.settings.refused_pause);
        Answer::Unreadable { retry_after: self.settings.refused_pause }
    }

    fn unreadable(&self, text: &Unsettled, error: &ReadError) -> Answer {
        tracing::warn!(
            event = "list_unread",
            message.id = %text.message_id,
            %error,
            "the provider's list cannot be read"
        );
        let asked = match error {
            ReadError::Unavailable { retry_after, .. } => retry_after.unwrap_or(Duration::ZERO),
            _ => Duration::ZERO,
        };
        Answer::Unreadable { retry_after: self.settings.settle_retry.max(asked) }
    }

    /// The texts to this person since the attempt began, by the slowest of clocks, and whether these are all. Newest
    /// come first, so that a page of older ones is the last that matters, unless it is to be `thorough`.
    async fn pages(
        &self,
        credentials: &Credentials,
        text: &Unsettled,
        thorough: bool,
    ) -> Result<(Vec<Listed>, bool), ReadError> {
        let since = text.since - SKEW;
        // A Messaging Service picks the sender itself. No time is asked for: what is not sent yet has none.
        let from = (!text.from.is_messaging_service()).then_some(&text.from);
        let page_size = u16::try_from(self.settings.settle_page.get()).unwrap_or(u16::MAX).min(1_000);
        let list = List { to: Some(&text.to), from, page_size, ..List::default() };
        let mut texts = Vec::new();
        let mut next = None;
        for _ in 0..self.settings.settle_pages.get() {
            let begun = Instant::now();
            let page = match &next {
                None => self.deps.provider.list(credentials, &list).await,
                Some(next) => self.deps.provider.list_next(credentials, next).await,
            };
            self.metrics.sends.listed(page.as_ref().err(), begun.elapsed());
            let page = page?;
            let before = |message: &Message| message.created_at.is_some_and(|created| created < since);
            let older = !page.messages.is_empty() && page.messages.iter().all(before);
            let new = page.messages.iter().filter(|it| !before(it) && it.direction != Direction::Inbound);
            texts.extend(new.map(|message| listed(message, text)));
            next = page.next;
            if next.is_none() || (older && !thorough) {
                return Ok((texts, true));
            }
        }
        Ok((texts, false))
    }
}

/// A message on the list, as the rules see it.
fn listed(message: &Message, text: &Unsettled) -> Listed {
    let sender = if text.from.is_messaging_service() {
        message.messaging_service_sid.as_deref() == Some(text.from.reveal())
    } else {
        message.from.as_ref() == Some(&text.from)
    };
    Listed {
        sid: message.sid.clone(),
        created_at: message.created_at,
        as_ours: message.direction == Direction::OutboundApi
            && sender
            && message.to.as_ref() == Some(&text.to),
        body: message.body.clone(),
        status: message.status,
        error_code: message.error_code,
    }
}
