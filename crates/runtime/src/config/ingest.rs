//! `[ingest]`: what a webhook may be, and how it is refused.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use super::section::section;
use super::units::Size;
use super::value::choice;

choice! {
    /// The status for a bad signature and for an unknown line.
    pub enum RefusalStatus: Number, "403 or 401" {
        /// The ordinary answer.
        Forbidden = "403",
        /// For proxies and gateways that expect it.
        Unauthorized = "401",
    }
}

section! {
    /// What a webhook may be, and how it is refused.
    pub struct Ingest {
        /// Time for a request's body. The HTTP server sets none by itself.
        pub body_timeout: Duration = Duration::from_secs(5),
        /// Largest body. A legal text of 1,600 emoji takes 19 KiB; add-ons can add much more.
        pub max_body: Size = Size::kib(128),
        /// Most parameters of a request. The longest documented webhook has about eighty.
        pub max_parameters: NonZeroU16 = const { NonZeroU16::new(256).unwrap() },
        /// Longest name of a parameter, in bytes. The longest documented ones have about thirty.
        pub max_parameter_name: NonZeroU16 = const { NonZeroU16::new(128).unwrap() },
        /// The answer to a bad signature and to an unknown line: 403 or 401.
        pub refusal_status: RefusalStatus = RefusalStatus::Forbidden,
        /// Texts that one thread of the server has waiting for the stream at once; beyond that 503, which a sender
        /// that retries survives. Bounds memory to this many bodies a thread.
        pub max_in_flight: NonZeroU32 = const { NonZeroU32::new(512).unwrap() },
        /// The `Retry-After` of a 503: about the time an election of the stream's servers takes.
        pub retry_after: Duration = Duration::from_secs(2),
        /// How long the stream may be away before ingest says it is not ready. Longer than an election, so that
        /// a proxy does not take every ingest out at once.
        pub stream_grace: Duration = Duration::from_secs(30),
        /// Folder on a durable disk, of this ingest alone, in which texts wait that the stream does not take. Unset:
        /// there is none, and while the stream is away the answer is 503. `up` on NATS keeps one in its data folder.
        #[such_as("/var/lib/casewire/spill")]
        pub spill_dir: Option<PathBuf> = None,
        /// Most bytes of texts in the spill; beyond that 503. About a million texts: an hour at 300 a second. The disk
        /// needs half as much again for what lies around them.
        pub spill_max_bytes: Size = Size::gib(1),
        /// When the oldest text in the spill has waited longer than this, no further ones are taken (503) until it
        /// has left: a stream that nobody mended for a day is better told to the provider. No text that was taken is
        /// ever given up for its age.
        pub spill_max_age: Duration = Duration::from_secs(86_400),
        /// How long to wait for the stream where there is a spill. A healthy one takes milliseconds; longer only
        /// makes the first texts of an outage late.
        pub spill_after: Duration = Duration::from_secs(1),
        /// Longest the spill's disk may take to say that it has a text; then 503. With `spill_after` well below 3 s.
        pub spill_timeout: Duration = Duration::from_millis(1500),
        /// Failures of a shard of the stream, one after the other, after which its texts go straight to the spill.
        /// More than one, since a single one may be chance; few, since each made a sender wait.
        pub breaker_failures: NonZeroU32 = const { NonZeroU32::new(3).unwrap() },
        /// Pause between attempts to bring the oldest text of the spill to a shard that failed.
        pub probe_interval: Duration = Duration::from_millis(500),
        /// Texts of one shard that leave the spill at once: enough to hide the stream's latency, few enough not to
        /// delay new texts.
        pub drain_window: NonZeroU16 = const { NonZeroU16::new(64).unwrap() },
        /// When a text of the spill is brought to the stream again that the stream refused for its own sake, or that
        /// could not be read. It lets the others pass meanwhile; a person must act, who should see soon that it helped.
        pub spill_put_off: Duration = Duration::from_secs(60),
        /// When a text of the spill is brought to the stream again whose removal failed, on a full disk say. Longer
        /// than the stream may take to answer, or it is sent while its answer is still waited for.
        pub spill_ack_wait: Duration = Duration::from_secs(6),
        /// Room set aside on the spill's disk, or an eighth of a small one: removing a text is a write too, and serves
        /// itself from it when the disk is full. SQLite's log until it is written back (1,000 pages, 4 MiB) and the
        /// file grown by as much, twice over.
        pub spill_reserve: Size = Size::mib(16),
    }
}
