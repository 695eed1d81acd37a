//! What a simulator is told before it starts, with the reason beside every default.

use std::time::Duration;

use crate::account::{Account, Line};
use crate::sid::AccountSid;

/// How a simulator behaves. `Config::default()` is what the demo and most tests want.
#[derive(Clone, Debug)]
pub struct Config {
    /// Fixes SIDs, delays and which requests meet a fault. `None` takes one from the system: a restarted
    /// simulator must not give out the SIDs of its last run again, whoever keeps them would take new texts for old.
    pub seed: Option<u64>,
    /// Accounts known from the start: only their own tokens are accepted for them.
    pub accounts: Vec<(AccountSid, Account)>,
    /// Lines known from the start.
    pub lines: Vec<Line>,
    /// Whether a `From` that is no registered line is refused (21606). Off, because a demo or a load test
    /// should not have to declare every number first.
    pub only_known_senders: bool,
    /// How long a text takes from one status to the next.
    pub lifecycle: Lifecycle,
    /// Status callbacks under way at once: enough to keep a local receiver busy, few enough that 100,000
    /// texts do not open 100,000 connections.
    pub callbacks_at_once: usize,
    /// Webhooks for texts under way at once; its own limit, so that slow callbacks do not hold texts back.
    pub webhooks_at_once: usize,
    /// Texts from handsets that may wait for their webhook before another is refused: a minute's work at
    /// the rates tests reach, so that a receiver that hangs cannot fill the memory.
    pub texts_waiting: usize,
    /// The pause before a webhook is tried again. Twilio documents none; this is a round trip and a bit,
    /// without which five retries would be over before a killed receiver is back.
    pub retry_pause: Duration,
    /// Messages kept for fetching and listing, then the oldest go: ten times the largest load test, about
    /// half a gigabyte when full.
    pub messages_kept: usize,
    /// Texts kept on all handsets together.
    pub handset_texts_kept: usize,
    /// Sends and texts kept in the ledger, each.
    pub ledger_kept: usize,
    /// How long a request that is made to hang hangs: longer than any client waits, but not for ever, so
    /// that the connection does not outlive its test.
    pub hang: Duration,
    /// Longest time an answer waits for the callback that a fault sends before it.
    pub callback_before_answer_wait: Duration,
    /// A comment on a quiet event stream this often, so that proxies and browsers see it alive.
    pub heartbeat: Duration,
    /// Largest request body: 1,600 characters at twelve encoded bytes each, ten media URLs and room.
    pub body_max: usize,
    /// Most parameters in a request.
    pub parameters_max: usize,
    /// Threads of the standalone server: one would do, two let a hanging request be served beside others.
    pub server_workers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: None,
            accounts: Vec::new(),
            lines: Vec::new(),
            only_known_senders: false,
            lifecycle: Lifecycle::default(),
            callbacks_at_once: 64,
            webhooks_at_once: 64,
            texts_waiting: 100_000,
            retry_pause: Duration::from_millis(100),
            messages_kept: 1_000_000,
            handset_texts_kept: 1_000_000,
            ledger_kept: 1_000_000,
            hang: Duration::from_secs(60),
            callback_before_answer_wait: Duration::from_secs(5),
            heartbeat: Duration::from_secs(15),
            body_max: 64 * 1024,
            parameters_max: 256,
            server_workers: 2,
        }
    }
}

/// The time before each status, drawn evenly from a span. The defaults let a person see the ticks change and
/// a test be over in a fifth of a second.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    /// From `accepted` to `queued`, with a Messaging Service.
    pub queued: Span,
    /// From `queued` to `sending`.
    pub sending: Span,
    /// From `sending` to `sent` or `failed`.
    pub sent: Span,
    /// From `sent` to `delivered` or `undelivered`.
    pub delivered: Span,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            queued: Span::millis(5, 20),
            sending: Span::millis(5, 20),
            sent: Span::millis(20, 60),
            delivered: Span::millis(30, 120),
        }
    }
}

impl Lifecycle {
    /// Every step at once: for load, where only the order of statuses matters.
    pub fn at_once() -> Self {
        let now = Span::millis(0, 0);
        Self { queued: now, sending: now, sent: now, delivered: now }
    }
}

/// A shortest and a longest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// No sooner.
    pub shortest: Duration,
    /// No later.
    pub longest: Duration,
}

impl Span {
    /// A span in milliseconds.
    pub const fn millis(shortest: u64, longest: u64) -> Self {
        Self { shortest: Duration::from_millis(shortest), longest: Duration::from_millis(longest) }
    }
}
