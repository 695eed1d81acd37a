//! `[sender]`: how the outbox reaches the provider.

use std::num::NonZeroU32;
use std::time::Duration;

use super::section::section;

section! {
    /// How the outbox reaches the provider.
    pub struct Sender {
        /// Sends under way at once in a process. At 200 ms each, 32 make 160 a second.
        pub concurrency: NonZeroU32 = const { NonZeroU32::new(32).unwrap() },
        /// How long a claimed text belongs to its process. Well over `request_timeout`: a lease that ends during
        /// the request makes the text uncertain.
        pub lease: Duration = Duration::from_secs(60),
        /// Texts a second of a line that has no rate of its own.
        pub rate_per_line: NonZeroU32 = const { NonZeroU32::new(100).unwrap() },
        /// How often the outbox is looked at when nothing woke the sender.
        pub poll_interval: Duration = Duration::from_millis(250),
        /// Pause between two looks that found something, so that under load one takes several texts. It bounds a
        /// process to `concurrency` texts each time.
        pub claim_interval: Duration = Duration::from_millis(10),
        /// Most outcomes of attempts written in one transaction.
        pub record_batch: NonZeroU32 = const { NonZeroU32::new(256).unwrap() },
        /// First pause before a text that was surely not processed (429, no connection) is tried again; it doubles,
        /// with jitter, up to `retry_most`.
        pub retry_first: Duration = Duration::from_secs(1),
        /// Longest such pause.
        pub retry_most: Duration = Duration::from_secs(5 * 60),
        /// Time to connect. Nothing was sent then, so a retry is safe: better early.
        pub connect_timeout: Duration = Duration::from_secs(3),
        /// Time for the whole request. Beyond it the outcome is uncertain, so it is generous.
        pub request_timeout: Duration = Duration::from_secs(15),
        /// How long nothing is sent for an account that the provider refused (a wrong token, a closed account).
        pub refused_pause: Duration = Duration::from_secs(30),
    }
}
