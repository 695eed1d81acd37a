//! How fast each account may send. The provider does not tell its limits, it answers 429 beyond them; a text that is
//! answered so was not processed and goes later, but a sender that does not slow down is told little else.
//!
//! Each account's rate is cut when its limit shows, and grows again until it does: slowly up to where the limit last
//! was, faster beyond. An account that was never told to slow down has no rate.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casewire_domain::AccountId;
use casewire_runtime::config;
use tokio::time::Instant;

/// How much faster a rate grows once it is beyond where the limit last was: the limit has gone up.
const BEYOND: f64 = 5.0;

/// How much of its rate an account may catch up with at once, as a line may: who looks less often sends too slowly.
pub(crate) const CATCH_UP: Duration = Duration::from_millis(100);

/// The rates of all accounts, as this process knows them.
pub(crate) struct Paces {
    settings: config::Sender,
    accounts: Mutex<BTreeMap<AccountId, Pace>>,
}

/// What is known of one account.
struct Pace {
    /// Attempts begun in the current second and in the one before it.
    begun: (u32, u32),
    second: Instant,
    limit: Option<Limit>,
}

/// An account that was told to slow down.
struct Limit {
    per_second: f64,
    /// The rate at which the provider last said no.
    refused_at: f64,
    /// Attempts that may begin now.
    room: f64,
    /// Up to when rate and room are worked out; later than now while the provider asked to be left alone.
    at: Instant,
    /// When the rate was cut last.
    cut: Instant,
}

impl Paces {
    pub(crate) fn new(settings: config::Sender) -> Self {
        Self { settings, accounts: Mutex::default() }
    }

    /// The accounts that may not send at will, with how many texts each may send now.
    pub(crate) fn slowed(&self, now: Instant) -> Vec<(AccountId, usize)> {
        let mut accounts = self.lock();
        accounts.retain(|_, pace| !self.forgotten(pace, now));
        let slowed = accounts.iter_mut().filter_map(|(account, pace)| {
            let limit = pace.limit.as_mut()?;
            limit.grow(now, &self.settings);
            // Below a few billion, and truncated on purpose.
            Some((*account, limit.room as usize))
        });
        slowed.collect()
    }

    /// An attempt is begun for an account.
    pub(crate) fn begun(&self, account: AccountId, now: Instant) {
        let mut accounts = self.lock();
        let pace =
            accounts.entry(account).or_insert_with(|| Pace { begun: (0, 0), second: now, limit: None });
        pace.turn_over(now);
        pace.begun.0 += 1;
        if let Some(limit) = &mut pace.limit {
            limit.room -= 1.0;
        }
    }

    /// The provider has asked an account to slow down, and to be left alone for so long if it said so.
    pub(crate) fn refused(&self, account: AccountId, asked: Option<Duration>, now: Instant) {
        let mut accounts = self.lock();
        let Some(pace) = accounts.get_mut(&account) else { return };
        pace.turn_over(now);
        let cut = 1.0 - f64::from(self.settings.throttle_cut.get().min(90)) / 100.0;
        let least = f64::from(self.settings.throttle_least.get());
        let until = now + asked.unwrap_or_default();
        match &mut pace.limit {
            None => {
                let rate = f64::from(pace.begun.0.max(pace.begun.1));
                let per_second = (rate * cut).max(least);
                pace.limit = Some(Limit { per_second, refused_at: rate, room: 0.0, at: until, cut: now });
            }
            Some(limit) => {
                limit.grow(now, &self.settings);
                limit.at = limit.at.max(until);
                // All that was under way is answered alike: that is one limit, met once.
                if now.duration_since(limit.cut) >= self.settings.throttle_window {
                    limit.refused_at = limit.per_second;
                    limit.per_second = (limit.per_second * cut).max(least);
                    limit.room = limit.room.min(0.0);
                    limit.cut = now;
                }
            }
        }
    }

    fn forgotten(&self, pace: &Pace, now: Instant) -> bool {
        match &pace.limit {
            Some(limit) => now.duration_since(limit.cut) >= self.settings.throttle_forget,
            None => now.duration_since(pace.second) >= self.settings.throttle_forget,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AccountId, Pace>> {
        // Whole after every statement that matters: a panic elsewhere costs a rate, and the next 429 mends it.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn turn_over(&mut self, now: Instant) {
        let since = now.duration_since(self.second);
        if since >= Duration::from_secs(1) {
            let before = if since < Duration::from_secs(2) { self.begun.0 } else { 0 };
            self.begun = (0, before);
            self.second = now;
        }
    }
}

impl Limit {
    /// Brings rate and room up to now.
    fn grow(&mut self, now: Instant, settings: &config::Sender) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let beyond = if self.per_second < self.refused_at { 1.0 } else { BEYOND };
        let percent = f64::from(settings.throttle_growth.get()) * beyond;
        let most = f64::from(u32::MAX);
        self.per_second = (self.per_second * (1.0 + percent / 100.0 * passed)).min(most);
        let most = (self.per_second * CATCH_UP.as_secs_f64()).max(1.0);
        self.room = (self.room + self.per_second * passed).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider that takes so many a second and says no beyond, a fifth of a second after it was asked.
    struct Provider {
        per_second: f64,
        room: f64,
        asked: Vec<(u32, bool)>,
    }

    /// A sender with no end of texts, for so many seconds. How many were taken and how many refused in the last half.
    fn storm(per_second: f64, seconds: u32) -> (u32, u32) {
        const TICKS: u32 = 100;
        const ANSWER: u32 = 20;
        let account = AccountId(uuid::Uuid::from_u128(1));
        let paces = Paces::new(config::Sender::default());
        let mut provider = Provider { per_second, room: per_second, asked: Vec::new() };
        let (start, mut counts) = (Instant::now(), (0, 0));
        for tick in 0..seconds * TICKS {
            let now = start + Duration::from_millis(10) * tick;
            provider.room = (provider.room + provider.per_second / f64::from(TICKS)).min(provider.per_second);
            let (due, rest) =
                std::mem::take(&mut provider.asked).into_iter().partition(|(at, _)| *at <= tick);
            provider.asked = rest;
            let due: Vec<(u32, bool)> = due;
            for (_, taken) in due {
                if !taken {
                    paces.refused(account, None, now);
                }
                if tick > seconds * TICKS / 2 {
                    if taken { counts.0 += 1 } else { counts.1 += 1 }
                }
            }
            let places = 32 - provider.asked.len();
            let slowed = paces.slowed(now);
            let may = slowed.first().map_or(places, |(_, may)| places.min(*may));
            for _ in 0..may {
                paces.begun(account, now);
                let taken = provider.room >= 1.0;
                provider.room -= if taken { 1.0 } else { 0.0 };
                provider.asked.push((tick + ANSWER, taken));
            }
        }
        counts
    }

    #[test]
    fn of_what_is_sent_into_a_storm_of_429_soon_one_in_ten_at_most_is_refused_and_most_of_the_limit_is_used()
    {
        // Without a limit 32 places make 160 a second, nine in ten of which are refused beyond 16.
        for limit in [2.0, 5.0, 16.0, 80.0] {
            let (taken, refused) = storm(limit, 240);
            let share = f64::from(refused) / f64::from(taken + refused);
            assert!(share <= 0.1, "{share} refused at {limit} a second");
            let used = f64::from(taken) / (limit * 120.0);
            assert!(used >= 0.6, "{used} of {limit} a second used");
        }
    }

    #[test]
    fn who_was_never_refused_has_no_rate_and_a_refusal_is_forgotten_in_the_end() {
        let (paces, account) = (Paces::new(config::Sender::default()), AccountId(uuid::Uuid::from_u128(1)));
        let now = Instant::now();
        paces.begun(account, now);
        assert_eq!(paces.slowed(now), []);
        paces.refused(account, Some(Duration::from_secs(2)), now);
        assert_eq!(
            paces.slowed(now + Duration::from_secs(1)),
            [(account, 0)],
            "left alone as long as it asked"
        );
        assert_eq!(paces.slowed(now + Duration::from_secs(4)), [(account, 1)]);
        assert_eq!(paces.slowed(now + config::Sender::default().throttle_forget), []);
    }
}
