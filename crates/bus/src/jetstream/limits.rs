//! The limits that may change while events are held: a stream's bytes and age, and how many events its consumer gives
//! out at once and for how long.

use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::consumer::Config as ConsumerConfig;
use async_nats::jetstream::stream::Config as StreamConfig;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::Difference;

/// What the server tells of a stream.
#[derive(Debug)]
pub(super) struct Found {
    /// What we know of its configuration.
    pub(super) config: StreamConfig,
    /// All of it: an update replaces the whole, and the server may know fields that we do not.
    pub(super) whole: Value,
    /// Bytes held.
    bytes: u64,
    /// How old the oldest event is, zero where none is held.
    oldest: Duration,
}

#[derive(Deserialize)]
struct Told {
    config: Value,
    state: State,
    /// The server's clock; none before 2.10, and then ours has to do.
    ts: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
    first_ts: DateTime<Utc>,
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Told { config: whole, state, ts } = Told::deserialize(deserializer)?;
        let config = StreamConfig::deserialize(&whole).map_err(de::Error::custom)?;
        let age = ts.unwrap_or_else(Utc::now) - state.first_ts;
        let oldest = if state.messages > 0 { age.to_std().unwrap_or_default() } else { Duration::ZERO };
        Ok(Self { config, whole, bytes: state.bytes, oldest })
    }
}

/// What the server tells of a consumer.
#[derive(Debug)]
pub(super) struct FoundConsumer {
    pub(super) config: ConsumerConfig,
    /// As in [`Found`].
    pub(super) whole: Value,
}

impl<'de> Deserialize<'de> for FoundConsumer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Told {
            config: Value,
        }
        let Told { config: whole } = Told::deserialize(deserializer)?;
        Ok(Self { config: ConsumerConfig::deserialize(&whole).map_err(de::Error::custom)?, whole })
    }
}

/// A limit that is not as configured.
#[derive(Debug)]
pub(super) struct Limit {
    name: &'static str,
    is: String,
    wanted: String,
    /// As it stands in the server's own configuration.
    value: Value,
    /// What is held beyond the configured limit, where that lowers the one there is.
    beyond: Option<String>,
}

impl Limit {
    pub(super) fn all(wanted: &StreamConfig, found: &Found) -> Vec<Self> {
        let is = &found.config;
        let mut limits = Vec::new();
        if wanted.max_bytes != is.max_bytes {
            // The server would keep what is held, and refuse every text until enough is gone.
            let lowers = is.max_bytes <= 0 || wanted.max_bytes < is.max_bytes;
            let beyond = lowers && u64::try_from(wanted.max_bytes).is_ok_and(|most| found.bytes > most);
            let beyond = beyond.then(|| format!("less than the {} bytes it holds", found.bytes));
            let value = wanted.max_bytes.into();
            limits.push(Self::new("max_bytes", &wanted.max_bytes, &is.max_bytes, value, beyond));
        }
        if wanted.max_age != is.max_age {
            // The server would drop what is older at once, whether it was handled or not.
            let lowers = is.max_age.is_zero() || wanted.max_age < is.max_age;
            let beyond = lowers && !wanted.max_age.is_zero() && found.oldest > wanted.max_age;
            let age = found.oldest.as_secs();
            let beyond = beyond.then(|| format!("which would drop its oldest event of {age} s ago"));
            limits.push(Self::new("max_age", &wanted.max_age, &is.max_age, nanos(wanted.max_age), beyond));
        }
        limits
    }

    /// The server gives out less or more from then on; what is out stays out.
    pub(super) fn of_consumer(wanted: &ConsumerConfig, is: &ConsumerConfig) -> Vec<Self> {
        let mut limits = Vec::new();
        if wanted.max_ack_pending != is.max_ack_pending {
            let value = wanted.max_ack_pending.into();
            limits.push(Self::new(
                "max_ack_pending",
                &wanted.max_ack_pending,
                &is.max_ack_pending,
                value,
                None,
            ));
        }
        if wanted.ack_wait != is.ack_wait {
            limits.push(Self::new("ack_wait", &wanted.ack_wait, &is.ack_wait, nanos(wanted.ack_wait), None));
        }
        limits
    }

    fn new<T: Debug>(name: &'static str, wanted: &T, is: &T, value: Value, beyond: Option<String>) -> Self {
        Self { name, is: format!("{is:?}"), wanted: format!("{wanted:?}"), value, beyond }
    }

    /// `of` is what has the limit, by the name it has in a sentence.
    pub(super) fn difference(&self, of: &str) -> Difference {
        let Self { name, is, wanted, .. } = self;
        let what = format!("{of} has {name} {is}, configured is {wanted}");
        match &self.beyond {
            None => Difference::Limit(what),
            Some(beyond) => Difference::Other(format!("{what}, {beyond}")),
        }
    }

    /// What changing it is called.
    pub(super) fn change(&self, of: &str) -> String {
        format!("{of} {} from {} to {}", self.name, self.is, self.wanted)
    }

    /// Sets it in a configuration of the server's.
    pub(super) fn set(self, config: &mut Value) {
        if let Some(fields) = config.as_object_mut() {
            fields.insert(self.name.to_owned(), self.value);
        }
    }
}

/// A time as the server writes it.
fn nanos(time: Duration) -> Value {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).into()
}
