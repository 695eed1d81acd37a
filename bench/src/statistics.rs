//! Medians, percentiles, and what two sides measured in turns say of each other.

use std::time::Duration;

/// How long each answer took.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The latency that this part of all (0.99 for p99) does not exceed, in milliseconds; 0 of none.
    pub(crate) fn percentile(&self, part: f64) -> f64 {
        let rank = (part * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).map_or(0.0, |found| found.as_secs_f64() * 1000.0)
    }
}

/// The middle one; of an even number, the mean of the two in the middle. 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// The least and the greatest.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> [f64; 2] {
    let wide = [f64::INFINITY, f64::NEG_INFINITY];
    values.into_iter().fold(wide, |[least, most], value| [least.min(value), most.max(value)])
}

/// What rounds of two sides say. The ratio is made round by round, each side next to the other, so that a machine
/// which slows down for a minute slows both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compared {
    /// Median of the first side.
    pub(crate) value: f64,
    /// Median of the second.
    pub(crate) against: f64,
    /// Median of the rounds' ratios.
    pub(crate) ratio: f64,
    /// Least and greatest of them.
    pub(crate) spread: [f64; 2],
}

impl Compared {
    pub(crate) fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let pairs: Vec<(f64, f64)> = pairs.into_iter().collect();
        let ratios = || pairs.iter().map(|(value, against)| value / against);
        Self {
            value: median(pairs.iter().map(|pair| pair.0)),
            against: median(pairs.iter().map(|pair| pair.1)),
            ratio: median(ratios()),
            spread: spread(ratios()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_occurred() {
        let all = Latencies::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!([0.5, 0.99, 1.0].map(|part| all.percentile(part)), [50.0, 99.0, 100.0]);
        assert_eq!(Latencies::new(vec![Duration::from_millis(3)]).percentile(0.5), 3.0);
        assert_eq!(Latencies::default().percentile(0.5), 0.0);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn ratios_are_made_round_by_round() {
        // The machine was twice as fast in the second round: no ratio of medians would be 0.9.
        let compared = Compared::of([(9.0, 10.0), (18.0, 20.0), (9.5, 10.0)]);
        assert_eq!(compared, Compared { value: 9.5, against: 10.0, ratio: 0.9, spread: [0.9, 0.95] });
    }
}
