//! Sending what the outbox holds. The attempt is committed as begun before the POST, so that a crash leaves
//! it uncertain and never sends it twice.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use casewire_domain::AccountId;
use casewire_domain::command::Command;
use casewire_domain::outbox::AttemptOutcome;
use casewire_runtime::config;
use casewire_store::{Claim, Claimed};
use casewire_twilio::rest::{Credentials, Send, SendOutcome};
use casewire_twilio::webhook::status_url;
use secrecy::SecretString;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::Deps;
use crate::backoff::doubled;
use crate::metrics::WorkerMetrics;

/// Sends claimed texts, so many at once.
pub(crate) struct Sender {
    settings: config::Sender,
    queued: Arc<Notify>,
    places: Arc<Semaphore>,
    post: Arc<Post>,
}

/// What every attempt needs.
struct Post {
    settings: config::Sender,
    deps: Arc<Deps>,
    metrics: Arc<WorkerMetrics>,
    outcomes: mpsc::Sender<Command>,
    breakers: Mutex<HashMap<AccountId, Instant>>,
    /// Wakes the sender when a lane is free again.
    settled: Arc<Notify>,
}

impl Sender {
    pub(crate) fn new(
        settings: config::Sender,
        deps: &Arc<Deps>,
        metrics: &Arc<WorkerMetrics>,
        queued: Arc<Notify>,
        outcomes: mpsc::Sender<Command>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(settings.concurrency.get() as usize));
        let post = Post {
            settings: settings.clone(),
            deps: deps.clone(),
            metrics: metrics.clone(),
            outcomes,
            breakers: Mutex::default(),
            settled: queued.clone(),
        };
        Self { settings, queued, places, post: Arc::new(post) }
    }

    /// Works until told to stop, then waits for the attempts under way.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let beat = self.post.deps.health.task("sender");
        while !stop.is_cancelled() {
            beat.now();
            let free = self.places.available_permits();
            let claimed = if free == 0 { Vec::new() } else { self.claim(free).await };
            if claimed.is_empty() {
                let woken = tokio::time::timeout(self.settings.poll_interval, self.queued.notified());
                // Woken, timed out or stopped: the loop looks again.
                let _ = stop.run_until_cancelled(woken).await;
                continue;
            }
            for message in claimed {
                let Ok(place) = self.places.clone().acquire_owned().await else { return Ok(()) };
                tokio::spawn(self.post.clone().attempt(message, place));
            }
        }
        // Every attempt under way gives its place back when its outcome is handed over.
        let _ = self.places.acquire_many(self.settings.concurrency.get()).await;
        Ok(())
    }

    async fn claim(&self, most: usize) -> Vec<Claimed> {
        let claim = Claim { most, lease: self.settings.lease, paused: self.post.paused() };
        self.post.deps.store.claim(claim).await.map(|claims| claims.messages).unwrap_or_else(|error| {
            tracing::warn!(event = "claim_failed", %error, "the outbox cannot be read");
            Vec::new()
        })
    }
}

impl Post {
    /// Makes one attempt and hands its outcome over.
    async fn attempt(self: Arc<Self>, message: Claimed, place: OwnedSemaphorePermit) {
        let outcome = if message.suppressed { AttemptOutcome::Suppressed } else { self.send(&message).await };
        let command =
            Command::Attempted { message_id: message.message_id, attempt: message.attempt, outcome };
        // The recorder outlives every attempt; where it is gone the process is being cut off.
        let _ = self.outcomes.send(command).await;
        drop(place);
        self.settled.notify_one();
    }

    /// POSTs with the newest token, and with the older one where that is refused.
    async fn send(&self, message: &Claimed) -> AttemptOutcome {
        let callback = status_url(&self.deps.public_url, &message.line, message.message_id, message.attempt);
        let send =
            Send { from: &message.from, to: &message.to, body: &message.body, status_callback: &callback };
        for auth_token in self.tokens(message) {
            let credentials = Credentials { account_sid: message.account.sid.clone(), auth_token };
            let outcome = self.deps.provider.send(&credentials, &send).await;
            self.metrics.attempt(&outcome);
            match outcome {
                SendOutcome::AccountRefused { http_status, code } => {
                    let account = &message.account.sid;
                    tracing::error!(
                        event = "account_refused",
                        account,
                        http_status,
                        code,
                        "the provider refuses the account or its token"
                    );
                }
                outcome => return self.meaning(message, outcome),
            }
        }
        self.pause(message.account.id);
        AttemptOutcome::NotProcessed { retry_after: self.settings.refused_pause }
    }

    fn tokens(&self, message: &Claimed) -> Vec<SecretString> {
        let place = message.account.id.to_string();
        let open = |token| {
            let opened = self.deps.master_key.open(token, &place);
            opened.inspect_err(|error| {
                tracing::error!(event = "token_sealed", account = message.account.sid, %error, "an account's token cannot be opened");
            })
        };
        message.account.tokens.iter().filter_map(|token| open(token).ok()).collect()
    }

    fn meaning(&self, message: &Claimed, outcome: SendOutcome) -> AttemptOutcome {
        match outcome {
            SendOutcome::Accepted { sid, status } => AttemptOutcome::Accepted { provider_sid: sid, status },
            SendOutcome::NotProcessed { retry_after, .. } => {
                let pause = self.jittered(message);
                AttemptOutcome::NotProcessed { retry_after: retry_after.unwrap_or_default().max(pause) }
            }
            SendOutcome::Rejected { code, .. } => AttemptOutcome::Rejected { code },
            SendOutcome::Uncertain { reason } => {
                tracing::warn!(event = "send_uncertain", message.id = %message.message_id, attempt = message.attempt, %reason, "nobody knows whether the provider took a text: it is held");
                AttemptOutcome::Uncertain
            }
            SendOutcome::AccountRefused { .. } => {
                AttemptOutcome::NotProcessed { retry_after: self.settings.refused_pause }
            }
        }
    }

    /// A pause that doubles with each attempt, between a half and the whole of it. The message's id spreads
    /// texts that failed together; its low bits are random.
    fn jittered(&self, message: &Claimed) -> Duration {
        let whole =
            doubled(self.settings.retry_first, self.settings.retry_most, message.attempt.saturating_sub(1));
        let spread = (message.message_id.0.as_u128() & 0xff) as f64 / 255.0;
        whole.mul_f64(0.5 + spread / 2.0)
    }

    /// Opens an account's breaker: its texts wait for a person to act, and ask again now and then.
    fn pause(&self, account: AccountId) {
        let until = Instant::now() + self.settings.refused_pause;
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner).insert(account, until);
        self.metrics.breaker_opened();
    }

    fn paused(&self) -> Vec<AccountId> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.retain(|_, until| *until > Instant::now());
        breakers.keys().copied().collect()
    }
}
