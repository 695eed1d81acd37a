//! What ingest counts and times. Every label is from a closed set, and every counter starts at 0, so that the first
//! failure is seen as a change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use casewire_bus::PublishError;
use casewire_domain::EventKind;
use casewire_runtime::ops::{Metrics, Traced, catalogue};
use casewire_twilio::signature::Signer;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::tally::{Note, Notes};

/// Labels with a name each.
macro_rules! label {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $text:literal,)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($(#[doc = $doc])* $variant,)* }

        impl $name {
            const COUNT: usize = [$($text),*].len();
            const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// The label's value.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                self.as_str().encode(encoder)
            }
        }
    };
}
pub(crate) use label;

label! {
    /// Which webhook.
    Kind {
        /// A customer's text.
        Inbound = "inbound",
        /// A delivery callback.
        Status = "status",
    }
}

label! {
    /// How a webhook ended.
    Outcome {
        /// Stored.
        Accepted = "accepted",
        /// Stored before.
        Duplicate = "duplicate",
        /// Not taken by the stream, and stored in the spill.
        Spilled = "spilled",
        /// Nobody whom we know signed it.
        RejectedSignature = "rejected_signature",
        /// It is no webhook.
        RejectedInvalid = "rejected_invalid",
        /// Too many wait for the stream.
        Overloaded = "overloaded",
        /// The stream did not take it.
        PublishFailed = "publish_failed",
        /// It could not be verified.
        Error = "error",
    }
}

label! {
    /// Whose key a signature was made with.
    SigningKey {
        /// The account's newest auth token.
        NewestToken = "newest_token",
        /// A token before it: while it still signs, it cannot go.
        OlderToken = "older_token",
        /// A shared key.
        SharedKey = "shared_key",
    }
}

label! {
    /// Why the stream did not take an event.
    Reason {
        /// It did not answer.
        Timeout = "timeout",
        /// Nobody listens at its subject.
        NoResponders = "no_responders",
        /// It holds all it may.
        StreamFull = "stream_full",
        /// It cannot be reached.
        Disconnected = "disconnected",
        /// It refused.
        Other = "other",
    }
}

impl From<EventKind> for Kind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Message => Self::Inbound,
            EventKind::MessageStatus | EventKind::Other => Self::Status,
        }
    }
}

impl From<Signer> for SigningKey {
    fn from(signer: Signer) -> Self {
        match signer {
            Signer::Token(0) => Self::NewestToken,
            Signer::Token(_) => Self::OlderToken,
            Signer::SharedKey(_) => Self::SharedKey,
        }
    }
}

impl From<&PublishError> for Reason {
    fn from(error: &PublishError) -> Self {
        match error {
            PublishError::Timeout => Self::Timeout,
            PublishError::Unavailable => Self::Disconnected,
            PublishError::Full => Self::StreamFull,
            PublishError::Rejected(_) => Self::Other,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    kind: Kind,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Signed {
    key: SigningKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    stream: String,
    reason: Reason,
}

/// A shard of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Shard {
    stream: String,
}

impl Shard {
    pub(crate) fn new(shard: u32) -> Self {
        Self { stream: stream(shard) }
    }
}

/// From what a healthy webhook takes to what the provider's patience ends at.
fn durations() -> Traced {
    let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    Traced::new(buckets.into_iter())
}

/// The metrics of webhooks, each looked up once. Every clone is the same.
#[derive(Clone)]
pub(crate) struct Webhooks(Arc<Handles>);

struct Handles {
    answered: [[Answered; Outcome::COUNT]; Kind::COUNT],
    signed: [Counter; SigningKey::COUNT],
    shards: Vec<Published>,
    /// What each thread has noted and not counted yet.
    threads: Mutex<Vec<Notes>>,
}

/// Webhooks of one kind and outcome.
struct Answered {
    requests: Counter,
    took: Traced,
}

/// What became of one shard's events.
struct Published {
    took: Traced,
    failures: [Counter; Reason::COUNT],
}

impl Webhooks {
    /// Registers them, all at 0.
    pub(crate) fn register(metrics: &Metrics, shards: u32) -> Self {
        let requests = Family::<Request, Counter>::default();
        let took = Family::<Request, Traced, fn() -> Traced>::new_with_constructor(durations);
        let acknowledged = Family::<Shard, Traced, fn() -> Traced>::new_with_constructor(durations);
        let failures = Family::<Failure, Counter>::default();
        metrics.register(&catalogue::WEBHOOK_REQUESTS, requests.clone());
        let signed = Family::<Signed, Counter>::default();
        metrics.register(&catalogue::WEBHOOK_SIGNATURE_KEYS, signed.clone());
        metrics.register(&catalogue::WEBHOOK_DURATION, took.clone());
        metrics.register(&catalogue::PUBLISH_ACK_DURATION, acknowledged.clone());
        metrics.register(&catalogue::PUBLISH_FAILURES, failures.clone());
        let answered = |kind, outcome| {
            let labels = Request { kind, outcome };
            Answered {
                requests: requests.get_or_create_owned(&labels),
                took: took.get_or_create_owned(&labels),
            }
        };
        let published = |shard| Published {
            took: acknowledged.get_or_create_owned(&Shard::new(shard)),
            failures: Reason::ALL
                .map(|reason| failures.get_or_create_owned(&Failure { stream: stream(shard), reason })),
        };
        let webhooks = Self(Arc::new(Handles {
            answered: Kind::ALL.map(|kind| Outcome::ALL.map(|outcome| answered(kind, outcome))),
            signed: SigningKey::ALL.map(|key| signed.get_or_create_owned(&Signed { key })),
            shards: (0..shards).map(published).collect(),
            threads: Mutex::default(),
        }));
        let shown = webhooks.clone();
        metrics.before_showing(move || shown.count_all());
        webhooks
    }

    /// Where a further thread's notes go.
    pub(crate) fn notes(&self) -> Notes {
        let notes = Notes::default();
        self.threads().push(notes.clone());
        notes
    }

    /// Counts what was noted.
    pub(crate) fn count(&self, notes: Vec<Note>) {
        for note in notes {
            match note {
                Note::Signed(key) => {
                    self.0.signed[key as usize].inc();
                }
                Note::Answered(kind, outcome, took, exemplar) => {
                    let answered = &self.0.answered[kind as usize][outcome as usize];
                    answered.requests.inc();
                    answered.took.observe(took.as_secs_f64(), exemplar, None);
                }
                Note::Stored(shard, took, exemplar) => {
                    if let Some(published) = self.shard(shard) {
                        published.took.observe(took.as_secs_f64(), exemplar, None);
                    }
                }
                Note::NotStored(shard, reason) => {
                    if let Some(published) = self.shard(shard) {
                        published.failures[reason as usize].inc();
                    }
                }
            }
        }
    }

    fn count_all(&self) {
        self.threads().retain(|notes| {
            let thread_goes_on = notes.are_shared();
            self.count(notes.take());
            thread_goes_on
        });
    }

    fn threads(&self) -> MutexGuard<'_, Vec<Notes>> {
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, shard: u32) -> Option<&Published> {
        self.0.shards.get(usize::try_from(shard).ok()?)
    }
}

/// The shard as the stream's name, as it is known at the broker.
fn stream(shard: u32) -> String {
    format!("IN_{shard}")
}
