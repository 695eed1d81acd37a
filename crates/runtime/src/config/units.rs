//! Values with units: durations (`"2.5s"`), sizes (`"128KiB"`) and shares (`0.1`).

use std::time::Duration;

use super::value::{Kind, Scalar};

const MILLIS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Scalar for Duration {
    const EXPECTED: &'static str =
        "a duration of 1ms or more with its unit, such as \"2.5s\", \"15m\" or \"7d\"";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let (_, millis) = MILLIS.iter().find(|(name, _)| *name == unit)?;
        let number: f64 = number.parse().ok()?;
        let whole_millis = (number * *millis as f64).round();
        // A duration of nothing is never meant: as a time-out it fails everything, as an interval it spins.
        (whole_millis >= 1.0 && whole_millis < u64::MAX as f64)
            .then(|| Self::from_millis(whole_millis as u64))
    }

    fn text(&self) -> String {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        match MILLIS.iter().find(|(_, unit)| millis != 0 && millis.is_multiple_of(*unit)) {
            Some(("ms", _)) if millis > 1_000 => format!("{}s", millis as f64 / 1e3),
            Some((name, unit)) => format!("{}{name}", millis / unit),
            None => "0ms".to_owned(),
        }
    }
}

/// A number of bytes, written with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

const BYTES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Size {
    /// So many kibibytes.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// So many mebibytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// So many gibibytes.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// In bytes, for lengths in memory; the largest there is when it does not fit.
    pub fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Scalar for Size {
    const EXPECTED: &'static str = "a size with its unit, such as \"128KiB\" or \"1GiB\"";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text)?;
        let (_, bytes) = BYTES.iter().find(|(name, _)| *name == unit)?;
        let size = number.parse::<u64>().ok()?.checked_mul(*bytes)?;
        (size > 0).then_some(Self(size))
    }

    fn text(&self) -> String {
        let unit = BYTES.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        unit.map_or_else(String::new, |(name, bytes)| format!("{}{name}", self.0 / bytes))
    }
}

/// A share of a whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// One in ten.
    pub const TENTH: Self = Self(0.1);

    /// From 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Scalar for Share {
    const KIND: Kind = Kind::Number;
    const EXPECTED: &'static str = "a number from 0 to 1, such as 0.1";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(Self)
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// The number and the unit of `2.5s`. Signs and exponents are no part of a number here.
fn split_unit(text: &str) -> Option<(&str, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    (at > 0).then(|| text.split_at(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check<T: Scalar + PartialEq + std::fmt::Debug>(text: &str, expected: Option<T>, written: &str) {
        let parsed = T::parse(text);
        assert_eq!(parsed, expected, "{text}");
        assert_eq!(parsed.map(|value| value.text()).unwrap_or_default(), written, "{text}");
    }

    #[test]
    fn durations_have_units_and_are_written_in_the_largest_that_fits() {
        check("2.5s", Some(Duration::from_millis(2500)), "2.5s");
        check("15m", Some(Duration::from_secs(900)), "15m");
        check("7d", Some(Duration::from_secs(604_800)), "7d");
        check("60s", Some(Duration::from_secs(60)), "1m");
        check("250ms", Some(Duration::from_millis(250)), "250ms");
        for wrong in ["30", "s", "0s", "-1s", "1e3s", "5 s", "1w", "", "0.0001ms", "9999999999999999999d"] {
            check::<Duration>(wrong, None, "");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        check("128KiB", Some(Size::kib(128)), "128KiB");
        check("1024KiB", Some(Size::kib(1024)), "1MiB");
        check("100B", Some(Size(100)), "100B");
        for wrong in ["128", "1kB", "1.5GiB", "0B", "99999999999TiB"] {
            check::<Size>(wrong, None, "");
        }
    }

    #[test]
    fn a_share_is_from_nothing_to_all() {
        check("0.1", Some(Share::TENTH), "0.1");
        check("1", Some(Share(1.0)), "1");
        for wrong in ["1.1", "-0.1", "NaN", "10%"] {
            check::<Share>(wrong, None, "");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 1_u64..1 << 50, bytes in 1_u64..) {
            let (duration, size) = (Duration::from_millis(millis), Size(bytes));
            prop_assert_eq!(Duration::parse(&duration.text()), Some(duration), "{}", duration.text());
            prop_assert_eq!(Size::parse(&size.text()), Some(size), "{}", size.text());
        }
    }
}
