//! Whether the stream was away too long to be ready.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Remembers since when the stream is lost. It learns of a loss when readiness is asked for, every few seconds, and of
/// a return also from every event that is stored.
pub(crate) struct Reach {
    grace: Duration,
    /// Whether `state` says so: an event that finds it so writes nothing, which other threads would have to read anew.
    is_reached: AtomicBool,
    state: Mutex<Known>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Never reached yet: not ready, however short that is.
    Never,
    Reached,
    /// Lost, as was first seen then.
    LostAt(Instant),
}

impl Reach {
    pub(crate) fn new(grace: Duration) -> Self {
        Self { grace, is_reached: AtomicBool::new(false), state: Mutex::new(Known::Never) }
    }

    /// The stream answered just now.
    pub(crate) fn reached(&self) {
        if !self.is_reached.load(Ordering::Relaxed) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            *state = Known::Reached;
            self.is_reached.store(true, Ordering::Relaxed);
        }
    }

    /// Takes note of whether the stream can be reached now, and says whether that is well enough.
    pub(crate) fn observe(&self, connected: bool, now: Instant) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match *state {
            _ if connected => Known::Reached,
            Known::Reached => Known::LostAt(now),
            known => known,
        };
        self.is_reached.store(*state == Known::Reached, Ordering::Relaxed);
        match *state {
            Known::Reached => Ok(()),
            Known::Never => Err("the stream was not reached yet".to_owned()),
            Known::LostAt(since) => {
                let away = now.saturating_duration_since(since);
                if away <= self.grace {
                    Ok(())
                } else {
                    Err(format!("the stream is away for {} s", away.as_secs()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_may_be_away_for_an_election_but_must_have_been_there() {
        let reach = Reach::new(Duration::from_secs(30));
        let start = Instant::now();
        let ready = |connected, after| reach.observe(connected, start + Duration::from_secs(after)).is_ok();
        assert!(!ready(false, 0));
        assert!(ready(true, 1));
        assert!(ready(false, 10));
        assert!(ready(false, 40));
        assert!(!ready(false, 41));
        assert!(ready(true, 42));
        assert!(ready(false, 100), "a new loss has a new grace");
        reach.reached();
        assert!(ready(false, 140));
    }
}
