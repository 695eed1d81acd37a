//! Sending what the outbox holds. The attempt is committed as begun before the POST, so that a crash leaves
//! it uncertain and never sends it twice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use casewire_domain::command::Command;
use casewire_runtime::config;
use casewire_store::{Claim, Error};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Deps;
use crate::attempt::Post;
use crate::backoff::Backoff;
use crate::breakers::Breakers;
use crate::metrics::Metrics;
use crate::pace::{self, Paces};

/// Sends claimed texts, so many at once.
pub(crate) struct Sender {
    settings: config::Sender,
    queued: Arc<Notify>,
    places: Arc<Semaphore>,
    post: Arc<Post>,
}

impl Sender {
    pub(crate) fn new(
        settings: config::Sender,
        deps: &Arc<Deps>,
        metrics: &Arc<Metrics>,
        queued: Arc<Notify>,
        breakers: Arc<Breakers>,
        outcomes: mpsc::Sender<Command>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(settings.concurrency.get() as usize));
        let post = Post {
            settings: settings.clone(),
            deps: deps.clone(),
            metrics: metrics.clone(),
            outcomes,
            breakers,
            paces: Paces::new(settings.clone()),
        };
        Self { settings, queued, places, post: Arc::new(post) }
    }

    /// Works until told to stop. The attempts under way are finished by then or later: the recorder, which the end of
    /// the process waits for, ends with the last of them.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let beat = self.post.deps.health.task("sender");
        let mut backoff = Backoff::new(self.settings.poll_interval, self.settings.retry_first);
        while !stop.is_cancelled() {
            beat.now();
            let found = match self.round().await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(event = "claim_failed", %error, "the outbox cannot be read");
                    backoff.pause(&stop).await;
                    continue;
                }
            };
            backoff.reset();
            // Waited out, woken or stopped: the loop looks again.
            let _ = stop.run_until_cancelled(self.until_there_may_be_more(found)).await;
        }
        Ok(())
    }

    /// Claims as many texts as there are places and starts sending them.
    async fn round(&self) -> Result<Found, Error> {
        let most = self.places.available_permits();
        if most == 0 {
            return Ok(Found::NoMore { look_in: self.settings.poll_interval });
        }
        let paused = self.post.breakers.paused();
        self.post.metrics.sends.circuits_open(paused.len());
        let slowed = self.post.paces.slowed(Instant::now());
        let mut longest = self.settings.poll_interval;
        if !slowed.is_empty() {
            longest = longest.min(pace::CATCH_UP);
        }
        let claim = Claim { most, lease: self.settings.lease, paused, slowed };
        // Before the claim, so that it is never later than the lease's own beginning.
        let claimed_at = Instant::now();
        let claims = self.post.deps.database.claim(claim).await?;
        let every_place = claims.messages.len() == most;
        for message in claims.messages {
            // At the claim and not at the POST: the next round is to know of it.
            self.post.paces.begun(message.account.id, Instant::now());
            // Only rounds take places, so as many are free still.
            let Ok(place) = self.places.clone().acquire_owned().await else { break };
            tokio::spawn(self.post.clone().attempt(message, claimed_at, place));
        }
        if every_place {
            return Ok(Found::EveryPlaceTaken);
        }
        Ok(Found::NoMore { look_in: claims.again_in.unwrap_or(Duration::MAX).min(longest) })
    }

    /// Waits until something was queued or settled and there is a place to send from, but not for longer than the round
    /// said; and for a moment in any case, so that a round takes on what has gathered. Where there is more already, that
    /// moment ends once all places are free.
    async fn until_there_may_be_more(&self, found: Found) {
        let look_in = match found {
            Found::NoMore { look_in } => look_in,
            Found::EveryPlaceTaken => {
                let all_free = self.places.acquire_many(self.settings.concurrency.get());
                // Free or not, there is another look; an error is the end, which the caller sees.
                let _ = timeout(self.settings.claim_interval, all_free).await;
                return;
            }
        };
        sleep(self.settings.claim_interval).await;
        let more = async {
            self.queued.notified().await;
            // An error is the end, which the caller sees.
            let _ = self.places.acquire().await;
        };
        // Woken or not, there is another look.
        let _ = timeout(look_in, more).await;
    }
}

/// What a round found.
enum Found {
    /// Texts for every place there was, and perhaps more.
    EveryPlaceTaken,
    /// No more for now; there may be by itself after so long.
    NoMore { look_in: Duration },
}
