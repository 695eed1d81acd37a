//! A server of a cluster can be alive and of no use: cut off from the others it answers pings, and nothing else.
//! Whoever is connected to it must go to another.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For how long one server has answered nothing but pings.
#[derive(Debug)]
pub(super) struct Silence {
    /// Longer than that, and it is left.
    patience: Duration,
    since: Mutex<Option<Instant>>,
}

impl Silence {
    /// Nothing was asked yet.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, since: Mutex::default() }
    }

    /// The server answered.
    pub(super) fn broken(&self) {
        *self.lock() = None;
    }

    /// The server did not answer, or nobody behind it did: whether it is to be left now. The next one has as long.
    pub(super) fn is_too_long(&self) -> bool {
        let mut since = self.lock();
        let began = *since.get_or_insert_with(Instant::now);
        let too_long = began.elapsed() >= self.patience;
        if too_long {
            *since = None;
        }
        too_long
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        // One value, whole at any time.
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_an_unbroken_silence_makes_us_leave_and_each_server_has_its_time() {
        let silence = Silence::new(Duration::from_secs(20));
        let after = async |seconds| {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            silence.is_too_long()
        };
        assert!(!after(0).await);
        assert!(!after(19).await);
        silence.broken();
        assert!(!after(19).await, "it had answered");
        assert!(!after(19).await);
        assert!(after(1).await);
        assert!(!after(1).await, "the next server has as long");
        assert!(!after(19).await);
        assert!(after(1).await);
    }
}
