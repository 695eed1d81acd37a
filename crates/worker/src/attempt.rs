//! One attempt to send one text: the POST, and what its answer means for another attempt.

use std::sync::Arc;
use std::time::Duration;

use casewire_domain::command::Command;
use casewire_domain::outbox::AttemptOutcome;
use casewire_runtime::config;
use casewire_runtime::telemetry::trace;
use casewire_store::Claimed;
use casewire_twilio::rest::{Send, SendOutcome, Trouble};
use casewire_twilio::webhook::status_url;
use chrono::Utc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tracing::{Instrument, Span, info_span};

use crate::backoff::doubled;
use crate::breakers::Breakers;
use crate::metrics::Metrics;
use crate::pace::Paces;
use crate::{Deps, credentials};

/// What every attempt needs.
pub(crate) struct Post {
    pub(crate) settings: config::Sender,
    pub(crate) deps: Arc<Deps>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) outcomes: mpsc::Sender<Command>,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) paces: Paces,
}

impl Post {
    /// Makes one attempt at what was claimed then and hands its outcome over; then its place is free.
    pub(crate) async fn attempt(
        self: Arc<Self>,
        message: Claimed,
        claimed_at: Instant,
        place: OwnedSemaphorePermit,
    ) {
        let span = info_span!(
            parent: None,
            "send sms",
            message.id = %message.message_id,
            attempt = message.attempt,
            line = message.line,
        );
        // The trace of the text that is answered, or of the agent's request.
        message.trace.iter().for_each(|cause| trace::set_parent(&span, cause));
        let trace = trace::parent_of(&span);
        let outcome = if message.suppressed {
            self.metrics.sends.suppressed();
            AttemptOutcome::Suppressed
        } else {
            self.send(&message, claimed_at).instrument(span).await
        };
        let command =
            Command::Attempted { message_id: message.message_id, attempt: message.attempt, outcome, trace };
        // The recorder outlives every attempt; where it is gone the process is being cut off.
        let _ = self.outcomes.send(command).await;
        drop(place);
    }

    /// POSTs with the newest token, and with the older one where that is refused.
    async fn send(&self, message: &Claimed, claimed_at: Instant) -> AttemptOutcome {
        let window = window(&self.settings);
        let callback = status_url(&self.deps.public_url, &message.line, message.message_id, message.attempt);
        let send =
            Send { from: &message.from, to: &message.to, body: &message.body, status_callback: &callback };
        let account = &message.account.sid;
        for credentials in credentials::of(&message.account, &self.deps.master_key) {
            let begun = Instant::now();
            if begun.duration_since(claimed_at) >= window {
                return self.too_late(message);
            }
            let outcome = self.deps.provider.send(&credentials, &send).await;
            self.metrics.sends.attempt(&outcome, begun.elapsed(), &Span::current());
            let SendOutcome::AccountRefused { http_status, code } = outcome else {
                return self.meaning(message, outcome);
            };
            tracing::warn!(
                event = "token_refused",
                account,
                http_status,
                code,
                "the provider refuses a token of an account, or the account"
            );
        }
        self.breakers.open(message.account.id, self.settings.refused_pause);
        tracing::error!(
            event = "account_refused",
            account,
            "no token of an account is accepted: its texts wait for somebody to act"
        );
        AttemptOutcome::NotProcessed { retry_after: self.settings.refused_pause }
    }

    /// What is not POSTed while the process has its lease is not POSTed at all: somebody may hold it as uncertain by
    /// then, find it on no list and send it again. Nothing of this attempt left, which is a definite answer to whoever
    /// asks for this attempt; of a later one it says nothing, and the rules look at the attempt's number.
    fn too_late(&self, message: &Claimed) -> AttemptOutcome {
        tracing::warn!(
            event = "send_too_late",
            message.id = %message.message_id,
            attempt = message.attempt,
            "a claimed text was not sent while its lease lasted: it waits for another attempt"
        );
        AttemptOutcome::NotProcessed { retry_after: self.pause(message, None) }
    }

    fn meaning(&self, message: &Claimed, outcome: SendOutcome) -> AttemptOutcome {
        match outcome {
            SendOutcome::Accepted { sid, status } => {
                let after = (Utc::now() - message.queued_at).to_std().unwrap_or_default();
                self.metrics.sends.accepted(message.automatic, after);
                AttemptOutcome::Accepted { provider_sid: sid, status }
            }
            SendOutcome::NotProcessed { reason, retry_after } => {
                if reason == Trouble::Throttled {
                    self.paces.refused(message.account.id, retry_after, Instant::now());
                }
                AttemptOutcome::NotProcessed { retry_after: self.pause(message, retry_after) }
            }
            SendOutcome::AccountRefused { .. } => {
                AttemptOutcome::NotProcessed { retry_after: self.settings.refused_pause }
            }
            SendOutcome::Rejected { code, .. } => AttemptOutcome::Rejected { code },
            SendOutcome::Uncertain { reason } => {
                tracing::warn!(
                    event = "send_uncertain",
                    message.id = %message.message_id,
                    attempt = message.attempt,
                    %reason,
                    "nobody knows whether the provider took a text: it is looked for"
                );
                AttemptOutcome::Uncertain
            }
        }
    }

    /// How long to wait before the next attempt, at least as long as the provider asks for.
    fn pause(&self, message: &Claimed, asked: Option<Duration>) -> Duration {
        let (first, most) = (self.settings.retry_first, self.settings.retry_most);
        // The message's id spreads texts that failed together; its low bits are random.
        let spread = (message.message_id.0.as_u128() & 0xff) as f64 / 255.0;
        pause(first, most, message.attempt, asked, spread)
    }
}

/// How long after its claim a text may be POSTed: the request ends while the lease lasts. At least half of the lease,
/// so that one too short for that slows nothing down; it is warned of where the configuration is read.
fn window(settings: &config::Sender) -> Duration {
    settings.lease.saturating_sub(settings.request_timeout).max(settings.lease / 2)
}

/// A pause that doubles with each attempt, between a half and the whole of it as `spread` goes from 0 to 1. What
/// was `asked` for is never cut short, and is spread too.
fn pause(first: Duration, most: Duration, attempt: u32, asked: Option<Duration>, spread: f64) -> Duration {
    let whole = doubled(first, most, attempt.saturating_sub(1));
    let own = whole.mul_f64(0.5 + spread / 2.0);
    asked.map_or(own, |asked| own.max(asked + first.mul_f64(spread)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_begin_while_it_can_end_within_the_lease() {
        let window = |lease, request_timeout| {
            let (lease, request_timeout) = (Duration::from_secs(lease), Duration::from_secs(request_timeout));
            window(&config::Sender { lease, request_timeout, ..Default::default() }).as_secs()
        };
        assert_eq!([window(60, 15), window(20, 15), window(10, 15)], [45, 10, 5]);
    }

    #[test]
    fn pauses_grow_are_spread_and_never_shorter_than_asked_for() {
        let seconds = |attempt, asked: Option<u64>, spread| {
            let asked = asked.map(Duration::from_secs);
            pause(Duration::from_secs(2), Duration::from_secs(300), attempt, asked, spread).as_secs_f64()
        };
        assert_eq!([seconds(1, None, 0.0), seconds(1, None, 1.0)], [1.0, 2.0]);
        assert_eq!([seconds(3, None, 0.0), seconds(3, None, 1.0)], [4.0, 8.0]);
        assert_eq!(seconds(60, None, 1.0), 300.0);
        assert_eq!([seconds(1, Some(30), 0.0), seconds(1, Some(30), 1.0)], [30.0, 32.0]);
        assert_eq!(seconds(60, Some(30), 1.0), 300.0);
    }
}
