//! Whether clocks agree, as far as anything depends on it.

use casewire_domain::settle::{CLOCKS, SKEW};
use chrono::{DateTime, TimeDelta, Utc};

use super::finding::Finding;

/// A clock that was read between two looks at ours.
pub fn compare(whose: &str, theirs: DateTime<Utc>, before: DateTime<Utc>, after: DateTime<Utc>) -> Finding {
    let check = format!("clock of {whose}");
    // Theirs may tell whole seconds, so that one second is none.
    let off = if theirs < before - TimeDelta::seconds(1) {
        before - theirs
    } else if theirs > after {
        theirs - after
    } else {
        TimeDelta::zero()
    };
    let (seconds, side) = (off.num_seconds(), if theirs < before { "behind" } else { "ahead of" });
    let mend = "keep this machine's clock right with NTP: timedatectl set-ntp true";
    if off <= CLOCKS {
        Finding::ok(check, format!("within {} s of this machine's", CLOCKS.num_seconds()))
    } else if off <= SKEW {
        let found = format!(
            "{seconds} s {side} this machine's: texts of which Twilio does not tell whether it took them are not \
             recognised on its list, and wait for a person"
        );
        Finding::warn(check, found, mend)
    } else {
        let found =
            format!("{seconds} s {side} this machine's: a text may be sent twice, and leases mean nothing");
        Finding::wrong(check, found, mend)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_clock_is_right_within_seconds_a_warning_within_minutes_and_wrong_beyond() {
        let now = DateTime::from_timestamp(1_795_188_180, 0).unwrap();
        let state = |seconds: i64| {
            compare("x", now + TimeDelta::seconds(seconds), now, now + TimeDelta::seconds(1)).state
        };
        assert_eq!([-5, 0, 6].map(state), [State::Ok; 3]);
        assert_eq!([-6, 7, -900].map(state), [State::Warn; 3]);
        assert_eq!([-901, 902].map(state), [State::Wrong; 2]);
        let told = compare("x", now - TimeDelta::hours(1), now, now);
        assert!(told.found.starts_with("3600 s behind"), "{}", told.found);
    }
}
