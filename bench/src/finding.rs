//! What a measure found, and what was hoped for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::statistics::{Compared, median, spread};

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of", content = "bound")]
pub(crate) enum Goal {
    /// The ratio to what it is measured against, at least.
    RatioAtLeast(f64),
    /// The ratio, at most.
    RatioAtMost(f64),
    /// The figure itself, at least.
    AtLeast(f64),
    /// The figure itself, at most.
    AtMost(f64),
    /// No more than this part away from what it is measured against.
    Within(f64),
    /// Reported as it is.
    None,
}

impl Goal {
    /// Whether it is met; nothing where there is no goal.
    fn met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::RatioAtLeast(bound) => Some(ratio? >= bound),
            Self::RatioAtMost(bound) => Some(ratio? <= bound),
            Self::AtLeast(bound) => Some(value >= bound),
            Self::AtMost(bound) => Some(value <= bound),
            Self::Within(part) => Some((ratio? - 1.0).abs() <= part),
            Self::None => None,
        }
    }

    /// Whether it is about the figure itself, whatever else that is compared with.
    pub(crate) fn is_of_value(self) -> bool {
        matches!(self, Self::AtLeast(_) | Self::AtMost(_))
    }

    /// The bound of the ratio, for a chart.
    pub(crate) fn ratio(self) -> Option<f64> {
        match self {
            Self::RatioAtLeast(bound) | Self::RatioAtMost(bound) => Some(bound),
            Self::Within(_) => Some(1.0),
            Self::AtLeast(_) | Self::AtMost(_) | Self::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(bound) => write!(f, "≥ {}×", figure(*bound)),
            Self::RatioAtMost(bound) => write!(f, "≤ {}×", figure(*bound)),
            Self::AtLeast(bound) => write!(f, "≥ {}", figure(*bound)),
            Self::AtMost(bound) => write!(f, "≤ {}", figure(*bound)),
            Self::Within(part) => write!(f, "within {} %", figure(part * 100.0)),
            Self::None => f.write_str("as it is"),
        }
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The measure it came from: `--only` names these.
    pub(crate) measure: String,
    /// What was measured.
    pub(crate) name: String,
    pub(crate) unit: String,
    /// The median of all rounds.
    pub(crate) value: f64,
    /// What it is measured against.
    pub(crate) against: Option<f64>,
    /// What that is.
    pub(crate) against_what: Option<String>,
    /// Median of the rounds' ratios.
    pub(crate) ratio: Option<f64>,
    /// Least and greatest of what the goal is about: ratio, or value where there is none or the goal is its own.
    pub(crate) spread: [f64; 2],
    pub(crate) goal: Goal,
    pub(crate) met: Option<bool>,
    pub(crate) rounds: usize,
    /// What else there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
    /// Where it comes from.
    #[serde(default)]
    pub(crate) origin: Origin,
}

/// By what a figure can be made again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) command: String,
    pub(crate) commit: String,
    pub(crate) machine: String,
    /// The versions of the servers.
    pub(crate) servers: String,
    /// The build that was measured: `dist` is what images hold.
    pub(crate) profile: String,
    /// When, in UTC.
    pub(crate) at: String,
    /// A short run, which shows that everything works and not how fast.
    pub(crate) quick: bool,
}

impl Finding {
    /// A figure measured against another in turns.
    pub(crate) fn compared(
        name: &str,
        unit: &str,
        against: &str,
        pairs: impl IntoIterator<Item = (f64, f64)>,
        goal: Goal,
    ) -> Self {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let rounds = pairs.len();
        let values = spread(pairs.iter().map(|(value, _)| *value));
        let Compared { value, against: other, ratio, spread } = Compared::of(pairs);
        let spread = if goal.is_of_value() { values } else { spread };
        Self {
            against: Some(other),
            against_what: Some(against.to_owned()),
            ratio: Some(ratio),
            met: goal.met(value, Some(ratio)),
            ..Self::bare(name, unit, value, spread, goal, rounds)
        }
    }

    /// A figure that stands alone.
    pub(crate) fn alone(name: &str, unit: &str, values: impl IntoIterator<Item = f64>, goal: Goal) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        let value = median(values.iter().copied());
        let rounds = values.len();
        Self { met: goal.met(value, None), ..Self::bare(name, unit, value, spread(values), goal, rounds) }
    }

    fn bare(name: &str, unit: &str, value: f64, spread: [f64; 2], goal: Goal, rounds: usize) -> Self {
        Self {
            measure: String::new(),
            name: name.to_owned(),
            unit: unit.to_owned(),
            value,
            against: None,
            against_what: None,
            ratio: None,
            spread,
            goal,
            met: None,
            rounds,
            note: String::new(),
            origin: Origin::default(),
        }
    }

    /// The same with something said of it.
    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// A figure as people read it: three significant digits, thousands apart.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        _ if size >= 100.0 || size == 0.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let mut spaced = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && digit != '-' && (whole.len() - place) % 3 == 0 && !spaced.ends_with('-') {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    if part.is_empty() { spaced } else { format!("{spaced}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_at_a_glance() {
        let read = [43_210.4, 999.6, 12.34, 1.2, 0.085, 0.0, 1_234_567.0].map(figure);
        assert_eq!(read, ["43,210", "1,000", "12.3", "1.2", "0.085", "0", "1,234,567"]);
    }

    #[test]
    fn a_goal_says_whether_it_is_met() {
        let of = |goal, pairs: [(f64, f64); 1]| Finding::compared("x", "s", "y", pairs, goal).met;
        assert_eq!(of(Goal::RatioAtLeast(0.85), [(86.0, 100.0)]), Some(true));
        assert_eq!(of(Goal::RatioAtLeast(0.85), [(84.0, 100.0)]), Some(false));
        assert_eq!(of(Goal::RatioAtMost(1.2), [(119.0, 100.0)]), Some(true));
        assert_eq!(of(Goal::Within(0.05), [(94.0, 100.0)]), Some(false));
        assert_eq!(of(Goal::None, [(1.0, 100.0)]), None);
        assert_eq!(Finding::alone("x", "ms", [14.0, 16.0, 15.0], Goal::AtMost(15.0)).met, Some(true));
    }

    #[test]
    fn the_spread_is_of_what_the_goal_is_about() {
        let of = |goal| Finding::compared("x", "ms", "y", [(10.0, 5.0), (12.0, 4.0)], goal).spread;
        assert_eq!(of(Goal::RatioAtMost(4.0)), [2.0, 3.0]);
        assert_eq!(of(Goal::None), [2.0, 3.0]);
        assert_eq!(of(Goal::AtMost(15.0)), [10.0, 12.0]);
    }
}
