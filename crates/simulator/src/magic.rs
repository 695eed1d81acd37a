//! Numbers that make things go wrong. The first ten mirror the magic numbers of Twilio's test credentials
//! (docs/api/rest/test-credentials); those for what goes wrong after a text was accepted are ours, since
//! Twilio's test credentials never get that far.

use crate::message::Fate;

/// The code with which a `To` is refused.
pub(crate) fn refused_recipient(to: &str) -> Option<u32> {
    match to {
        "+15005550001" => Some(21_211),
        "+15005550002" => Some(21_612),
        "+15005550003" => Some(21_408),
        "+15005550004" => Some(21_610),
        "+15005550009" => Some(21_614),
        _ => None,
    }
}

/// The code with which a `From` is refused.
pub(crate) fn refused_sender(from: &str) -> Option<u32> {
    match from {
        "+15005550001" => Some(21_212),
        "+15005550007" => Some(21_606),
        "+15005550008" => Some(21_611),
        _ => None,
    }
}

/// How a text to this number ends: `+1500555` and then `2000` stays `sent`, `3ddd` is undelivered and `4ddd`
/// fails with error `30ddd`. Any other is delivered.
pub(crate) fn fate(to: &str) -> Fate {
    let Some(last) = to.strip_prefix("+1500555").filter(|last| last.len() == 4) else {
        return Fate::Delivered;
    };
    let code = |ddd: &str| ddd.parse().ok().map(|ddd: u32| 30_000 + ddd);
    match last.split_at(1) {
        ("2", "000") => Fate::StaysSent,
        ("3", ddd) => code(ddd).map_or(Fate::Delivered, Fate::Undelivered),
        ("4", ddd) => code(ddd).map_or(Fate::Delivered, Fate::Failed),
        _ => Fate::Delivered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digits_tell_how_a_text_ends() {
        assert_eq!(fate("+15005553003"), Fate::Undelivered(30_003));
        assert_eq!(fate("+15005554034"), Fate::Failed(30_034));
        assert_eq!(fate("+15005552000"), Fate::StaysSent);
        assert_eq!(fate("+15005550006"), Fate::Delivered);
        assert_eq!(fate("+12065550100"), Fate::Delivered);
        assert_eq!(fate("+1500555300é"), Fate::Delivered);
    }
}
