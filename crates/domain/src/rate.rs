//! How fast a line may send: a schedule of turns, one `interval` apart, kept as the time of the next turn.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How far a line may catch up with its schedule at once: a tenth of a second's worth, so that claims in
/// rounds keep up with the rate and no second sees more than a tenth too many.
const CATCH_UP: TimeDelta = TimeDelta::milliseconds(100);

/// How long to wait before the next round of claims when a line's next turn is in so long: not for every
/// single turn of a fast line, and not so long that it could not catch up.
pub fn round(next_turn_in: TimeDelta) -> Duration {
    next_turn_in.max(CATCH_UP / 2).to_std().unwrap_or_default()
}

/// The turns a line may take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    first: DateTime<Utc>,
    interval: TimeDelta,
    /// How many texts may be sent now.
    pub count: usize,
}

impl Turns {
    /// The turns of a line whose next one is at `next_at`, at so many texts a second (at least one).
    pub fn at(now: DateTime<Utc>, next_at: DateTime<Utc>, per_second: u32) -> Self {
        let interval = TimeDelta::microseconds(1_000_000 / i64::from(per_second.clamp(1, 1_000_000)));
        let first = next_at.max(now - CATCH_UP);
        let behind = (now - first).num_microseconds().unwrap_or(0);
        let step = interval.num_microseconds().unwrap_or(1).max(1);
        let count = if behind < 0 { 0 } else { usize::try_from(behind / step + 1).unwrap_or(0) };
        Self { first, interval, count }
    }

    /// When the next turn is, after taking so many of these.
    pub fn after(&self, taken: usize) -> DateTime<Utc> {
        self.first + self.interval * i32::try_from(taken).unwrap_or(i32::MAX)
    }

    /// Where the schedule of a line that never sent begins.
    pub fn start(now: DateTime<Utc>) -> DateTime<Utc> {
        now - CATCH_UP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts sent in `seconds` by a sender that looks every 20 ms and always has more to send.
    fn sent_in(seconds: i64, per_second: u32) -> usize {
        let begin = DateTime::UNIX_EPOCH;
        let mut next_at = Turns::start(begin);
        let mut sent = 0;
        for tick in 0..seconds * 50 {
            let turns = Turns::at(begin + TimeDelta::milliseconds(tick * 20), next_at, per_second);
            sent += turns.count;
            next_at = turns.after(turns.count);
        }
        sent
    }

    #[test]
    fn a_line_keeps_its_rate() {
        for rate in [1_u32, 10, 100, 1_000] {
            let (sent, allowed) = (sent_in(60, rate), 60 * rate as usize);
            assert!(sent >= allowed * 97 / 100 && sent <= allowed * 103 / 100 + 1, "{rate}/s: {sent}");
        }
    }

    #[test]
    fn who_looks_when_told_to_keeps_the_rate() {
        for rate in [1_u32, 3, 20, 100, 1_000] {
            let begin = DateTime::UNIX_EPOCH;
            let (mut now, mut next_at, mut sent) = (begin, Turns::start(begin), 0);
            while now < begin + TimeDelta::seconds(60) {
                let turns = Turns::at(now, next_at, rate);
                sent += turns.count;
                next_at = turns.after(turns.count);
                // A round is as late as on a busy machine.
                now += TimeDelta::from_std(round(next_at - now)).unwrap() + TimeDelta::milliseconds(20);
            }
            let allowed = 60 * rate as usize;
            assert!(sent >= allowed * 97 / 100 && sent <= allowed * 103 / 100 + 1, "{rate}/s: {sent}");
        }
    }

    #[test]
    fn a_line_that_was_silent_does_not_save_up() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert_eq!(Turns::at(now, DateTime::UNIX_EPOCH, 10).count, 2);
    }

    #[test]
    fn before_its_turn_a_line_waits() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(Turns::at(now, now + TimeDelta::milliseconds(1), 10).count, 0);
    }
}
