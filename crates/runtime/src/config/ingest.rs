//! `[ingest]`: what a webhook may be, and how it is refused.

use std::num::{NonZeroU16, NonZeroU32};
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
        /// The answer to a bad signature and to an unknown line: 403 or 401.
        pub refusal_status: RefusalStatus = RefusalStatus::Forbidden,
        /// Texts waiting for the stream at once; beyond that 503, which a sender that retries survives. Bounds
        /// memory to this many bodies.
        pub max_in_flight: NonZeroU32 = const { NonZeroU32::new(1024).unwrap() },
        /// The `Retry-After` of a 503: about the time an election of the stream's servers takes.
        pub retry_after: Duration = Duration::from_secs(2),
        /// How long the stream may be away before ingest says it is not ready. Longer than an election, so that
        /// a proxy does not take every ingest out at once.
        pub stream_grace: Duration = Duration::from_secs(30),
    }
}
