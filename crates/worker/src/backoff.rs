//! Pauses that grow while something is out of reach.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A pause that doubles with every failure, up to a limit, and starts over after a success.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// What worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = doubled(self.first, self.most, self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Waits after a failure. Whether to go on: not when the process ends.
    pub(crate) async fn pause(&mut self, stop: &CancellationToken) -> bool {
        stop.run_until_cancelled(tokio::time::sleep(self.next())).await.is_some()
    }
}

/// `first`, doubled so many times, at most `most`.
pub(crate) fn doubled(first: Duration, most: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit() {
        let pauses =
            [0, 1, 2, 5, 40].map(|n| doubled(Duration::from_secs(1), Duration::from_secs(20), n).as_secs());
        assert_eq!(pauses, [1, 2, 4, 20, 20]);
    }

    #[test]
    fn after_a_success_pauses_are_short_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(20));
        assert_eq!([backoff.next(), backoff.next()].map(|pause| pause.as_secs()), [1, 2]);
        backoff.reset();
        assert_eq!(backoff.next().as_secs(), 1);
    }
}
