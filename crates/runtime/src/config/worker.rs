//! `[worker]`: how events are taken from the stream.

use std::num::NonZeroU32;
use std::time::Duration;

use super::section::section;

section! {
    /// How events are taken from the stream.
    pub struct Worker {
        /// Most events of one transaction. Larger batches gained little and hold their locks longer.
        pub batch_size: NonZeroU32 = const { NonZeroU32::new(256).unwrap() },
        /// How long one request for events waits while there are none; it ends at once when one comes.
        pub fetch_wait: Duration = Duration::from_secs(1),
        /// First pause after the database could not be reached; it doubles up to `retry_most`.
        pub retry_first: Duration = Duration::from_millis(250),
        /// Longest such pause: how long a worker may stay idle after the database is back.
        pub retry_most: Duration = Duration::from_secs(10),
        /// How often the database is asked whether lines or tokens changed. They work within a second.
        pub directory_poll: Duration = Duration::from_millis(250),
        /// How often the directory is published unasked, in case the stream was wiped.
        pub directory_republish: Duration = Duration::from_secs(60),
    }
}
