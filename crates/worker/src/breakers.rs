//! Accounts that the provider refuses: nothing is sent for them for a while, so that a wrong token costs a few
//! requests and not one a text.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casewire_domain::AccountId;
use tokio::time::Instant;

/// The accounts whose breaker is open, each with the time it closes.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<AccountId, Instant>>);

impl Breakers {
    /// Opens an account's breaker for so long.
    pub(crate) fn open(&self, account: AccountId, pause: Duration) {
        self.lock().insert(account, Instant::now() + pause);
    }

    /// The accounts whose breaker is open now.
    pub(crate) fn paused(&self) -> Vec<AccountId> {
        let mut breakers = self.lock();
        breakers.retain(|_, until| *until > Instant::now());
        breakers.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Instant>> {
        // The map is whole after every statement, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
