//! The windows of time in which one list is read, the oldest first.

use casewire_twilio::rest::Message;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// So long at most: what the schedule asks for is one, and one request.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// The list knows whole seconds.
const SHORTEST: TimeDelta = TimeDelta::seconds(1);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// From this second on.
    pub(super) from: DateTime<Utc>,
    /// Up to and without this second; `None` to the list's end.
    pub(super) to: Option<DateTime<Utc>>,
}

impl Window {
    /// Whether a text is of this one. The list is asked for one second more: whether it compares the seconds that it
    /// tells or finer times nobody says.
    pub(super) fn has(&self, text: &Message) -> bool {
        self.to.is_none_or(|to| text.sent_at.or(text.created_at).is_some_and(|at| at < to))
    }
}

/// Those that are not read yet.
#[derive(Debug)]
pub(super) struct Windows {
    /// From when on; nothing when all are read.
    from: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    length: TimeDelta,
}

impl Windows {
    pub(super) fn new(since: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self { from: Some(since.trunc_subsecs(0)), until, length: LONGEST }
    }

    /// The oldest.
    pub(super) fn next(&self) -> Option<Window> {
        let from = self.from?;
        Some(Window { from, to: Some(from + self.length).filter(|to| *to < self.until) })
    }

    /// It was read to its end.
    pub(super) fn read(&mut self) {
        self.from = self.next().and_then(|window| window.to);
        self.length = (self.length * 2).min(LONGEST);
    }

    /// It has too much in it: the next is half as long. Whether it can be.
    pub(super) fn shorten(&mut self) -> bool {
        let Some(from) = self.from else { return false };
        let half = TimeDelta::seconds(self.length.min(self.until - from).num_seconds() / 2);
        if half >= SHORTEST {
            self.length = half;
        }
        half >= SHORTEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_188_180 + second, 0).unwrap()
    }

    #[test]
    fn an_hour_is_one_window_and_a_month_one_a_day_without_a_gap() {
        let mut windows = Windows::new(at(0) + TimeDelta::milliseconds(700), at(3_600));
        assert_eq!(windows.next(), Some(Window { from: at(0), to: None }));
        windows.read();
        assert_eq!(windows.next(), None);
        let mut windows = Windows::new(at(0), at(30 * 86_400));
        let (mut read, mut from) = (0, at(0));
        while let Some(window) = windows.next() {
            assert_eq!(window.from, from);
            from = window.to.unwrap_or(at(30 * 86_400));
            windows.read();
            read += 1;
        }
        assert_eq!((read, from), (30, at(30 * 86_400)));
    }

    #[test]
    fn a_window_with_too_much_in_it_is_halved_down_to_a_second_and_grows_again() {
        let mut windows = Windows::new(at(0), at(100));
        let mut lengths = Vec::new();
        while windows.shorten() {
            lengths.push(windows.next().unwrap().to.unwrap().timestamp() - at(0).timestamp());
        }
        assert_eq!(lengths, [50, 25, 12, 6, 3, 1]);
        windows.read();
        assert_eq!(windows.next(), Some(Window { from: at(1), to: Some(at(3)) }));
        windows.read();
        assert_eq!(windows.next(), Some(Window { from: at(3), to: Some(at(7)) }));
    }

    #[test]
    fn nothing_is_asked_for_twice_and_an_empty_time_ends() {
        let mut windows = Windows::new(at(10), at(0));
        assert!(!windows.shorten());
        assert_eq!(windows.next(), Some(Window { from: at(10), to: None }));
        windows.read();
        assert!(!windows.shorten());
        assert_eq!(windows.next(), None);
    }
}
