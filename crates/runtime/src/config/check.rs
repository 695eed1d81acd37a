//! What must hold between settings, what each role cannot do without, and what is legal but dangerous.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::Config;
use super::apply::variable;
use super::database::mistake_in;
use super::mistake::{Mistake, Mistakes};

/// After this long the provider gives a webhook up, retries included.
const PROVIDER_PATIENCE: Duration = Duration::from_secs(15);

/// Ninety-nine of a hundred webhooks are answered within it, whatever the stream does.
const PROMISED_ANSWER: Duration = Duration::from_secs(3);

/// What a batch needs beside its statements: fetching, deciding, acknowledging.
const BATCH_MARGIN: Duration = Duration::from_secs(5);

/// What is not on the provider's list so long after an attempt is not there. Twilio gives up on a request some 26 s
/// after it came, ours wait 15 s for that, and a list that is read from a copy may be a minute behind.
const LIST_KNOWS: Duration = Duration::from_secs(2 * 60);

/// A way to run casewire, by what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// All in one process; everything has an embedded default.
    Up,
    /// Takes webhooks.
    Ingest,
    /// Handles events and sends.
    Worker,
    /// Serves agents.
    Desk,
    /// Creates tables and streams.
    Migrate,
}

impl Config {
    /// Whether everything is set that a role cannot do without.
    ///
    /// # Errors
    /// All that is missing, at once.
    pub fn require(&self, role: Role) -> Result<(), Mistakes> {
        let settings = [
            ("server", "public_url", self.server.public_url.is_some()),
            ("stream", "nats_url", self.stream.nats_url.is_some()),
            ("database", "url", self.database.url.is_some()),
            ("keys", "master_key", self.keys.master_key.is_some()),
        ];
        let needed: &[&str] = match role {
            Role::Up if self.twilio.account_sid.is_some() => &["public_url"],
            Role::Up => &[],
            Role::Ingest => &["public_url", "nats_url", "master_key"],
            Role::Worker => &["public_url", "nats_url", "url", "master_key"],
            Role::Desk => &["url"],
            Role::Migrate => &["nats_url", "url"],
        };
        let missing = settings.iter().filter(|(_, key, set)| needed.contains(key) && !set);
        let mistake = |(section, key, _): &(&str, &str, bool)| {
            Mistake::of_all(format!(
                "`{section}.{key}` is not set (in the environment: {})",
                variable(section, key)
            ))
        };
        Mistakes::none_in(missing.map(mistake).collect())
    }

    /// What is legal but dangerous, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let batch = self.database.transaction_timeout + BATCH_MARGIN;
        let answer = self.ingest.body_timeout + self.stream.publish_timeout;
        let underscore = self.server.public_url.as_ref().is_some_and(|url| url.host().contains('_'));
        let warnings = [
            (
                self.stream.ack_wait < batch,
                "`stream.ack_wait` is shorter than `database.transaction_timeout` with 5s to spare: a slow batch will \
              be handled twice",
            ),
            (
                answer >= PROVIDER_PATIENCE,
                "`ingest.body_timeout` and `stream.publish_timeout` together reach 15s: the provider gives up before it \
              gets an answer",
            ),
            (
                self.ingest.spill_after + self.ingest.spill_timeout > PROMISED_ANSWER,
                "`ingest.spill_after` and `ingest.spill_timeout` together exceed 3s: so long a webhook may wait for its               answer when the stream fails",
            ),
            (
                self.stream.publish_timeout >= self.ingest.spill_ack_wait,
                "`stream.publish_timeout` reaches `ingest.spill_ack_wait`: a text of the spill is brought to the stream               again while the answer to the first time is waited for",
            ),
            (
                self.stream.ack_wait < self.worker.hold_interval * 2,
                "`worker.hold_interval` is more than half of `stream.ack_wait`: what waits for the database will be \
              handed out again",
            ),
            (
                self.worker.most_deliveries < self.worker.logic_tries.max(self.worker.suspect_from),
                "`worker.most_deliveries` is less than `worker.logic_tries` or `worker.suspect_from`: events become dead \
              letters before these are reached",
            ),
            (
                self.sender.lease < self.sender.request_timeout * 2,
                "`sender.lease` is less than twice `sender.request_timeout`: slow sends will be held as uncertain",
            ),
            (
                !self.sender.looks().is_sorted(),
                "`sender.settle_first`, `settle_second` and `settle_last` do not grow: an uncertain text is given up \
              before the last of them",
            ),
            (
                self.sender.settle_first < self.sender.request_timeout,
                "`sender.settle_first` is shorter than `sender.request_timeout`: a text is looked for that may not be \
              there yet",
            ),
            (
                self.sender.settle_last < LIST_KNOWS,
                "`sender.settle_last` is shorter than 2m: the provider may take a text, or list it, after it was looked \
              for the last time, and a line that wants it sent again (`--when-uncertain resend`) then sends it twice",
            ),
            (
                self.worker.sweep_lease < self.sender.request_timeout * 2,
                "`worker.sweep_lease` is less than twice `sender.request_timeout`: while one worker waits for a list, \
              others will compare it too",
            ),
            (
                self.server.drain_timeout < answer,
                "`server.drain_timeout` is shorter than a webhook may take: a stop can cut one off",
            ),
            (
                underscore,
                "the host of `server.public_url` has an underscore: Twilio refuses such addresses for delivery callbacks",
            ),
        ];
        warnings.iter().filter(|(holds, _)| *holds).map(|(_, what)| (*what).to_owned()).collect()
    }
}

/// What is wrong with a setting by itself, beyond what its type says.
pub(crate) fn mistakes_alone(config: &Config) -> Vec<Mistake> {
    let key = config.keys.master_key.as_ref();
    let rules = [
        (
            "stream.replicas",
            !matches!(config.stream.replicas.get(), 1 | 3 | 5),
            "`stream.replicas` must be 1, 3 or 5",
        ),
        (
            "keys.master_key",
            key.is_some_and(|key| !is_32_bytes_in_base64(key.expose_secret())),
            "`keys.master_key` must be 32 bytes in base64",
        ),
    ];
    let url = config.database.url.as_ref().and_then(|url| mistake_in(url.expose_secret()));
    let wrong =
        rules.iter().filter(|(_, wrong, _)| *wrong).map(|(name, _, what)| (*name, (*what).to_owned()));
    wrong
        .chain(url.map(|what| ("database.url", what)))
        .map(|(name, what)| Mistake { origin: config.origin(name).cloned(), what })
        .collect()
}

/// What is wrong although each setting by itself is right.
pub(crate) fn mistakes_together(config: &Config) -> Vec<Mistake> {
    let (server, stream, twilio) = (&config.server, &config.stream, &config.twilio);
    let twilio_given = [twilio.account_sid.is_some(), twilio.auth_token.is_some(), twilio.number.is_some()];
    let rules = [
        (
            server.listen == server.ops_listen && server.listen.port() != 0,
            "`server.listen` and `server.ops_listen` are the same address",
        ),
        (
            stream.duplicate_window > stream.max_age,
            "`stream.duplicate_window` is longer than `stream.max_age`",
        ),
        (
            stream.user.is_some() != stream.password.is_some(),
            "`stream.user` and `stream.password` go together",
        ),
        (
            stream.user.is_some() && stream.credentials_file.is_some(),
            "`stream.user` and `stream.credentials_file` exclude each other",
        ),
        (
            stream.max_message.bytes() < config.ingest.max_body.bytes() + 16 * 1024,
            "`stream.max_message` must be at least 16KiB more than `ingest.max_body`: an event holds the body",
        ),
        (
            twilio_given.contains(&true) && twilio_given.contains(&false),
            "`twilio.account_sid`, `twilio.auth_token` and `twilio.number` go together",
        ),
    ];
    rules.iter().filter(|(wrong, _)| *wrong).map(|(_, what)| Mistake::of_all(*what)).collect()
}

/// 43 digits and one character of padding.
fn is_32_bytes_in_base64(text: &str) -> bool {
    let digits = text.strip_suffix('=').unwrap_or_default();
    digits.len() == 43 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}
