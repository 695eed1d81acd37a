//! The simulator itself: its state, its background work, and what a test asks it directly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casewire_domain::Address;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::account::{Account, Line};
use crate::config::Config;
use crate::faults::{BadRule, Rule};
use crate::handset::{HandsetDirection, HandsetText};
use crate::ledger::Ledger;
use crate::message::Status;
use crate::schedule::Schedule;
use crate::sid::{AccountSid, Sid};
use crate::state::State;
use crate::texting::TextJob;
use crate::webhook::{Callback, Courier};

/// A stand-in for Twilio. Clones are the same simulator.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

struct Inner {
    config: Config,
    state: Mutex<State>,
    courier: Courier,
    steps: Schedule<u64>,
    callbacks: Arc<Schedule<Callback>>,
    texts: Arc<Schedule<TextJob>>,
    changes: watch::Sender<u64>,
    running: AtomicBool,
    closing: CancellationToken,
}

/// A simulator could not be built: its HTTP client has no TLS provider or no trust store. Final.
#[derive(Debug, thiserror::Error)]
#[error("the simulator's HTTP client cannot be built")]
pub struct BuildError(#[from] reqwest::Error);

/// Work the simulator has not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Texts that have not reached their last status.
    pub texts: usize,
    /// Status callbacks waiting or under way.
    pub callbacks: usize,
    /// Webhooks for texts from handsets, waiting or under way.
    pub webhooks: usize,
}

impl Pending {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.texts + self.callbacks + self.webhooks == 0
    }
}

impl Simulator {
    /// Builds a simulator; [`Simulator::run`] makes it live. A rustls provider must have been installed.
    pub fn new(config: Config) -> Result<Self, BuildError> {
        let simulator = Self(Arc::new(Inner {
            state: Mutex::new(State::new(&config)),
            courier: Courier::new(config.retry_pause)?,
            steps: Schedule::new(),
            callbacks: Arc::new(Schedule::new()),
            texts: Arc::new(Schedule::new()),
            changes: watch::Sender::new(0),
            running: AtomicBool::new(false),
            closing: CancellationToken::new(),
            config,
        }));
        for line in simulator.config().lines.clone() {
            simulator.set_line(line);
        }
        Ok(simulator)
    }

    /// Does the background work: moves texts through their life cycle, delivers callbacks and webhooks. Without
    /// it texts stay `queued` and [`Simulator::send_text`] refuses. Ends on `shutdown`, dropping what is under
    /// way, as Twilio would not wait for us either; event streams end with it. A second call returns at once.
    pub async fn run(&self, shutdown: CancellationToken) {
        if self.0.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = &self.0;
        let callbacks = Arc::clone(&inner.callbacks)
            .work(inner.config.callbacks_at_once, &shutdown, |job| self.clone().deliver_callback(job));
        let texts = Arc::clone(&inner.texts)
            .work(inner.config.webhooks_at_once, &shutdown, |job| self.clone().deliver_text(job));
        let work = async { tokio::join!(self.walk(), callbacks, texts) };
        shutdown.run_until_cancelled(work).await;
        inner.running.store(false, Ordering::Release);
        inner.closing.cancel();
    }

    async fn walk(&self) {
        loop {
            let place = self.0.steps.pop().await;
            self.advance(place);
            self.0.steps.finished();
        }
    }

    /// Makes an account known, or changes its tokens.
    pub fn set_account(&self, sid: AccountSid, account: Account) {
        self.state().accounts.insert(sid, account);
    }

    /// Makes a line known, or changes it. Its token, when given, becomes its account's.
    pub fn set_line(&self, line: Line) {
        let mut state = self.state();
        if let Some(token) = &line.auth_token {
            let met = Account { auth_token: token.clone(), secondary_token: None, strict: false };
            let account = state.accounts.entry(line.account_sid.clone()).or_insert(met);
            account.auth_token = token.clone();
        }
        state.lines.insert(line.number.clone(), line);
    }

    /// Forgets a line; whether there was one.
    pub fn remove_line(&self, number: &Address) -> bool {
        self.state().lines.remove(number).is_some()
    }

    /// The lines known, by number.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<_> = self.state().lines.values().cloned().collect();
        lines.sort_by(|a, b| a.number.cmp(&b.number));
        lines
    }

    /// Puts these rules in the place of all others; none ends all faults.
    pub fn set_faults(&self, rules: Vec<Rule>) -> Result<(), BadRule> {
        rules.iter().try_for_each(Rule::check)?;
        self.state().faults.rules = rules;
        Ok(())
    }

    /// The rules in force, each with how often it has happened.
    pub fn faults(&self) -> Vec<Rule> {
        self.state().faults.rules.clone()
    }

    /// Everything accepted and sent so far.
    pub fn ledger(&self) -> Ledger {
        self.state().ledger.read(0, 0, usize::MAX)
    }

    /// How far a text has come; nothing once it is no longer kept, or where it never was.
    pub fn status(&self, sid: Sid) -> Option<Status> {
        let state = self.state();
        Some(state.messages.get(state.place_of(sid)?)?.status)
    }

    /// What arrived on a person's phone, oldest first.
    pub fn inbox(&self, number: &Address) -> Vec<HandsetText> {
        self.handset(number, 0, usize::MAX).into_iter().filter(arrived).collect()
    }

    /// Waits until a text that fits is on a person's phone, and gives it; `None` when the time is over.
    pub async fn wait_for_text(
        &self,
        number: &Address,
        fits: impl Fn(&HandsetText) -> bool,
        within: Duration,
    ) -> Option<HandsetText> {
        let deadline = Instant::now() + within;
        let (mut changes, mut after) = (self.changes(), 0);
        loop {
            for text in self.handset(number, after, usize::MAX) {
                after = text.seq;
                if arrived(&text) && fits(&text) {
                    return Some(text);
                }
            }
            timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }

    /// What is not finished.
    pub fn pending(&self) -> Pending {
        Pending {
            texts: self.0.steps.unfinished(),
            callbacks: self.0.callbacks.unfinished(),
            webhooks: self.0.texts.unfinished(),
        }
    }

    /// Waits until every text has its last status and every callback and webhook is delivered or given up;
    /// whether that came in time.
    pub async fn wait_until_idle(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while !self.pending().is_empty() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Whether the background work is being done.
    pub(crate) fn is_running(&self) -> bool {
        self.0.running.load(Ordering::Acquire)
    }

    /// The texts of a handset after the one numbered `after`, oldest first, at most `limit`.
    pub(crate) fn handset(&self, number: &Address, after: u64, limit: usize) -> Vec<HandsetText> {
        self.state().handsets.since(number, after).take(limit).map(|(_, text)| text.clone()).collect()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn courier(&self) -> &Courier {
        &self.0.courier
    }

    pub(crate) fn steps(&self) -> &Schedule<u64> {
        &self.0.steps
    }

    pub(crate) fn callbacks(&self) -> &Schedule<Callback> {
        &self.0.callbacks
    }

    pub(crate) fn texts(&self) -> &Schedule<TextJob> {
        &self.0.texts
    }

    /// Ends what would otherwise stay open: event streams and hanging requests.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// Tells whenever something arrives on any handset.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    pub(crate) fn tell_handsets(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }
}

fn arrived(text: &HandsetText) -> bool {
    text.direction == HandsetDirection::Received
}
