//! Connection overrides: what a webhook's URL says, in its fragment, of time-outs and retries.
//! Source: docs/usage/webhooks/webhooks-connection-overrides.

use std::time::Duration;

/// How patiently a webhook is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// To connect, each time (`ct`).
    pub(crate) connect: Duration,
    /// For the first byte of the answer, and between any two (`rt`).
    pub(crate) read: Duration,
    /// For everything, retries included (`tt`).
    pub(crate) total: Duration,
    /// How many times more (`rc`).
    pub(crate) retries: u32,
    /// After what (`rp`).
    pub(crate) policy: Policy,
}

/// Which failures are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) connect: bool,
    pub(crate) read: bool,
    pub(crate) status_4xx: bool,
    pub(crate) status_5xx: bool,
}

impl Policy {
    const NONE: Self = Self { connect: false, read: false, status_4xx: false, status_5xx: false };
}

/// `rp` names something that is no retry policy (Twilio's 11243).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPolicy;

impl Default for Overrides {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(5_000),
            read: Duration::from_millis(15_000),
            total: Duration::from_millis(15_000),
            retries: 1,
            policy: Policy { connect: true, ..Policy::NONE },
        }
    }
}

impl Overrides {
    /// Reads a fragment. What is out of its documented range is taken as the nearest limit; what is no number,
    /// and `sni`, `e` and unknown names, which mean nothing to a local receiver, change nothing.
    pub(crate) fn parse(fragment: &str) -> Result<Self, BadPolicy> {
        let mut overrides = Self::default();
        for (name, value) in fragment.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "ct" => set(&mut overrides.connect, value, 10_000),
                "rt" => set(&mut overrides.read, value, 15_000),
                "tt" => set(&mut overrides.total, value, 15_000),
                "rc" => overrides.retries = value.parse().map_or(overrides.retries, |n: u32| n.min(5)),
                "rp" => overrides.policy = policy(value)?,
                _ => {}
            }
        }
        Ok(overrides)
    }
}

fn set(time: &mut Duration, value: &str, longest: u64) {
    if let Ok(millis) = value.parse::<u64>() {
        *time = Duration::from_millis(millis.clamp(100, longest));
    }
}

fn policy(list: &str) -> Result<Policy, BadPolicy> {
    let list = list.replace("%2C", ",").replace("%2c", ",");
    list.split(',').try_fold(Policy::NONE, |mut policy, name| {
        match name.trim() {
            "ct" => policy.connect = true,
            "rt" => policy.read = true,
            "4xx" => policy.status_4xx = true,
            "5xx" => policy.status_5xx = true,
            "all" => policy = Policy { connect: true, read: true, status_4xx: true, status_5xx: true },
            _ => return Err(BadPolicy),
        }
        Ok(policy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_overrides_only_a_failed_connection_is_tried_once_more() {
        let defaults = Overrides::parse("");
        assert_eq!(defaults, Ok(Overrides::default()));
        assert_eq!(
            defaults.map(|o| (o.retries, o.policy)),
            Ok((1, Policy { connect: true, ..Policy::NONE }))
        );
    }

    #[test]
    fn the_recommended_fragment_is_read() {
        let read = Overrides::parse("ct=2000&rt=5000&tt=15000&rc=5&rp=all&sni=y&e=ashburn");
        let all = Policy { connect: true, read: true, status_4xx: true, status_5xx: true };
        let millis = Duration::from_millis;
        assert_eq!(
            read,
            Ok(Overrides {
                connect: millis(2_000),
                read: millis(5_000),
                total: millis(15_000),
                retries: 5,
                policy: all
            })
        );
    }

    #[test]
    fn values_out_of_range_are_taken_as_the_limit() {
        let read = Overrides::parse("ct=1&rt=99999&tt=no&rc=9");
        let millis = Duration::from_millis;
        assert_eq!(
            read.map(|o| (o.connect, o.read, o.total, o.retries)),
            Ok((millis(100), millis(15_000), millis(15_000), 5))
        );
    }

    #[test]
    fn a_list_of_policies_is_read_and_a_wrong_one_refused() {
        let read = Overrides::parse("rp=5xx,rt");
        assert_eq!(read.map(|o| o.policy), Ok(Policy { read: true, status_5xx: true, ..Policy::NONE }));
        assert_eq!(Overrides::parse("rp=never"), Err(BadPolicy));
    }
}
