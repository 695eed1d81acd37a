//! What becomes of a text after it was accepted: its statuses, and the callbacks that tell of them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::account::Method;
use crate::config::{Lifecycle, Span};
use crate::faults::{Case, Fault, Stage};
use crate::handset::Origin;
use crate::message::{Envelope, Status};
use crate::simulator::Simulator;
use crate::state::State;
use crate::webhook::{self, Callback, Outcome};

/// What follows from one step of a text.
struct Step {
    callbacks: Vec<(Duration, Callback)>,
    next: Option<Duration>,
    arrived: bool,
    /// A text that arrived at a line of ours instead of a handset.
    relayed: Option<Arc<Envelope>>,
}

impl Simulator {
    /// Moves a message to its next status. One that was deleted meanwhile is left alone.
    pub(crate) fn advance(&self, place: u64) {
        let step = self.state().step(place, Utc::now(), &self.config().lifecycle);
        let Some(step) = step else { return };
        for (wait, callback) in step.callbacks {
            self.callbacks().push(Instant::now() + wait, callback);
        }
        if let Some(wait) = step.next {
            self.steps().push(Instant::now() + wait, place);
        }
        if step.arrived {
            self.tell_handsets();
        }
        if let Some(text) = step.relayed {
            self.relay(&text);
        }
    }

    /// Delivers a status callback, then lets those go that waited for it.
    pub(crate) async fn deliver_callback(self, callback: Callback) {
        let outcome = match self.request_of(&callback) {
            Ok(request) => self.courier().deliver(&request).await.0,
            Err(code) => Outcome::unsent(code),
        };
        let counts = &mut self.state().ledger.callbacks;
        match outcome.is_success() {
            true => counts.delivered += 1,
            false => counts.failed += 1,
        }
        for held in callback.after {
            self.callbacks().push(Instant::now(), held);
        }
    }

    fn request_of(&self, callback: &Callback) -> Result<webhook::Request, u32> {
        let (token, idempotency_token) = {
            let mut state = self.state();
            (state.token(&callback.envelope.account), state.new_idempotency_token())
        };
        // Whoever sent the text gave a password; without the account there is nothing to sign with.
        let token = token.ok_or(20_003u32)?;
        let url = callback.envelope.status_callback.as_deref().unwrap_or_default();
        webhook::Request::new(Method::Post, url, webhook::status(callback), token, idempotency_token)
    }
}

impl State {
    fn step(&mut self, place: u64, now: DateTime<Utc>, lifecycle: &Lifecycle) -> Option<Step> {
        let message = self.messages.get_mut(place)?;
        let (status, error_code) = message.next()?;
        message.reach(status, error_code, now);
        let envelope = Arc::clone(&message.envelope);
        let (next, is_reported) = (message.next(), message.is_reported());
        let callbacks = if is_reported { self.report(place, now) } else { Vec::new() };
        let is_hurried = self.messages.get(place).is_some_and(|message| message.first_callback.is_some());
        let next = next.map(|(status, _)| match is_hurried {
            true => Duration::ZERO,
            false => self.within(lifecycle.before(status)),
        });
        let arrived = status == Status::Delivered;
        let relayed = (arrived && self.lines.contains_key(&envelope.to)).then(|| Arc::clone(&envelope));
        if arrived && relayed.is_none() {
            self.arrive(&envelope, Origin::Api, now);
        }
        Some(Step { callbacks, next, arrived, relayed })
    }

    /// The callbacks for the status a message has reached, as the faults leave them.
    fn report(&mut self, place: u64, now: DateTime<Utc>) -> Vec<(Duration, Callback)> {
        let Some(message) = self.messages.get_mut(place) else { return Vec::new() };
        let (envelope, status) = (Arc::clone(&message.envelope), message.status);
        let case =
            Case { stage: Stage::Callback, from: &envelope.from, to: &envelope.to, status: Some(status) };
        let faults = self.faults.all(&case);
        let copy = |error_code| Callback {
            envelope: Arc::clone(&envelope),
            status,
            error_code,
            at: now,
            after: Vec::new(),
            waiting: None,
        };
        let copies = 1 + faults.iter().map(Fault::more_callbacks).sum::<usize>();
        let mut callbacks: Vec<_> = (0..copies).map(|_| copy(message.error_code)).collect();
        if faults.contains(&Fault::DropCallbacks) {
            self.ledger.callbacks.dropped += callbacks.len() as u64;
            message.first_callback = None;
            callbacks = std::mem::take(&mut message.held);
        } else if faults.contains(&Fault::ReorderCallbacks) && message.next().is_some() {
            message.held.append(&mut callbacks);
        } else if let Some(first) = callbacks.first_mut() {
            first.after = std::mem::take(&mut message.held);
            first.waiting = message.first_callback.take();
        }
        callbacks.into_iter().map(|callback| (self.delay(&faults), callback)).collect()
    }

    fn delay(&mut self, faults: &[Fault]) -> Duration {
        let delays = faults.iter().map(|fault| match *fault {
            Fault::DelayCallbacks { min_ms, max_ms } => self.within(Span::millis(min_ms, max_ms)),
            _ => Duration::ZERO,
        });
        delays.sum()
    }
}

impl Fault {
    fn more_callbacks(&self) -> usize {
        match *self {
            Self::DuplicateCallbacks { copies } => copies as usize,
            _ => 0,
        }
    }
}

impl Lifecycle {
    fn before(&self, status: Status) -> Span {
        match status {
            Status::Queued => self.queued,
            Status::Sending => self.sending,
            Status::Sent | Status::Failed => self.sent,
            _ => self.delivered,
        }
    }

    /// The wait before the first step of a message that was just accepted with this status.
    pub(crate) fn after_accepting(&self, status: Status) -> Span {
        self.before(if status == Status::Accepted { Status::Queued } else { Status::Sending })
    }
}
