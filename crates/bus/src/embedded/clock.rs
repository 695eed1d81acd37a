//! Milliseconds since 1970.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A span in milliseconds.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The time of day at the start, and from then on a clock that nobody sets: leases and windows keep their length
/// when the machine's time jumps.
#[derive(Debug)]
pub(super) struct Clock {
    started_at: i64,
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self::at(SystemTime::now())
    }

    /// A clock that takes this for the time of day.
    pub(super) fn at(time: SystemTime) -> Self {
        let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_at: millis(since_1970), started: Instant::now() }
    }

    pub(super) fn now(&self) -> i64 {
        self.started_at.saturating_add(millis(self.started.elapsed()))
    }
}
