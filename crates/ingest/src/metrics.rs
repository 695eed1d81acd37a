//! What ingest counts and times. Every label is from a closed set, and every counter starts at 0, so that the first
//! failure is seen as a change.

use std::time::Duration;

use casewire_bus::PublishError;
use casewire_domain::EventKind;
use casewire_runtime::ops::Metrics;
use casewire_runtime::telemetry::trace;
use casewire_twilio::signature::Signer;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tracing::Span;

/// Labels with a name each.
macro_rules! label {
    ($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $text:literal,)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($(#[doc = $doc])* $variant,)* }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant),*];

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

/// Leads from a slow observation to its trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Trace {
    trace_id: String,
}

type Durations = HistogramWithExemplars<Trace>;

/// From what a healthy webhook takes to what the provider's patience ends at.
fn durations() -> Durations {
    let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    HistogramWithExemplars::new(buckets.into_iter())
}

/// The metrics of webhooks. Every clone is the same.
#[derive(Clone)]
pub(crate) struct Webhooks {
    requests: Family<Request, Counter>,
    signed: Family<Signed, Counter>,
    durations: Family<Request, Durations, fn() -> Durations>,
    acknowledgements: Family<Shard, Durations, fn() -> Durations>,
    failures: Family<Failure, Counter>,
}

impl Webhooks {
    /// Registers them, all at 0.
    pub(crate) fn register(metrics: &Metrics, shards: u32) -> Self {
        let all = Self {
            requests: Family::default(),
            signed: Family::default(),
            durations: Family::new_with_constructor(durations),
            acknowledgements: Family::new_with_constructor(durations),
            failures: Family::default(),
        };
        for (kind, outcome) in
            Kind::ALL.iter().flat_map(|kind| Outcome::ALL.iter().map(move |of| (*kind, *of)))
        {
            drop(all.requests.get_or_create(&Request { kind, outcome }));
            drop(all.durations.get_or_create(&Request { kind, outcome }));
        }
        for key in SigningKey::ALL {
            drop(all.signed.get_or_create(&Signed { key: *key }));
        }
        for shard in 0..shards {
            drop(all.acknowledgements.get_or_create(&Shard::new(shard)));
            for reason in Reason::ALL {
                drop(all.failures.get_or_create(&Failure { stream: stream(shard), reason: *reason }));
            }
        }
        metrics.register(|registry| all.register_in(registry));
        all
    }

    fn register_in(&self, registry: &mut Registry) {
        registry.register("webhook_requests", "Webhooks by how they ended", self.requests.clone());
        let help = "Webhooks whose signature holds, by the key it was made with";
        registry.register("webhook_signature_keys", help, self.signed.clone());
        let help = "Time from a webhook's head to its answer";
        registry.register("webhook_request_duration_seconds", help, self.durations.clone());
        let help = "Time the stream took to say that it has an event";
        registry.register("publish_ack_duration_seconds", help, self.acknowledgements.clone());
        registry.register("publish_failures", "Events the stream did not take", self.failures.clone());
    }

    /// A webhook's signature holds.
    pub(crate) fn signed(&self, signer: Signer) {
        self.signed.get_or_create(&Signed { key: signer.into() }).inc();
    }

    /// A webhook was answered.
    pub(crate) fn answered(&self, kind: Kind, outcome: Outcome, took: Duration, span: &Span) {
        let labels = Request { kind, outcome };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&labels).observe(took.as_secs_f64(), exemplar(span), None);
    }

    /// The stream said that it has an event.
    pub(crate) fn stored(&self, shard: u32, took: Duration, span: &Span) {
        self.acknowledgements.get_or_create(&Shard::new(shard)).observe(
            took.as_secs_f64(),
            exemplar(span),
            None,
        );
    }

    /// The stream did not take an event.
    pub(crate) fn not_stored(&self, shard: u32, error: &PublishError) {
        self.failures.get_or_create(&Failure { stream: stream(shard), reason: error.into() }).inc();
    }
}

/// The shard as the stream's name, as it is known at the broker.
fn stream(shard: u32) -> String {
    format!("IN_{shard}")
}

fn exemplar(span: &Span) -> Option<Trace> {
    trace::sampled_trace_id(span).map(|trace_id| Trace { trace_id })
}
