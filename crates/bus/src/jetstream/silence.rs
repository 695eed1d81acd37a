//! A server of a cluster can be alive and of no use: cut off from the others it answers pings, and nothing else.
//! Whoever is connected to it must go to another.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For how long one server has been of no use.
#[derive(Debug)]
pub(super) struct Silence {
    /// Longer than that, and it is left.
    patience: Duration,
    unanswered: Mutex<Option<Unanswered>>,
}

/// A row of questions without an answer.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    first: Instant,
    last: Instant,
}

impl Silence {
    /// Nothing was asked yet.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, unanswered: Mutex::default() }
    }

    /// The server did what only one that belongs to its cluster can do.
    pub(super) fn broken(&self) {
        *self.lock() = None;
    }

    /// The server did not answer, or nobody behind it did: whether it is to be left now. The next one has as long. What
    /// went unanswered longer ago than our patience is forgotten: it has nothing to do with this.
    pub(super) fn is_too_long(&self) -> bool {
        let (mut unanswered, now) = (self.lock(), Instant::now());
        let row = unanswered.filter(|row| now - row.last < self.patience);
        let first = row.map_or(now, |row| row.first);
        let too_long = now - first >= self.patience;
        *unanswered = (!too_long).then_some(Unanswered { first, last: now });
        too_long
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Unanswered>> {
        // One value, whole at any time.
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(!after(5).await);
        assert!(!after(20).await, "what was so long ago does not count");
    }
}
