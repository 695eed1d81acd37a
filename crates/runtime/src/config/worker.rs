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
        /// How often what nobody announces is looked for: attempts whose process is gone, statuses that came before
        /// their text was known, replays that were asked for. A look is a few index reads.
        pub chores_interval: Duration = Duration::from_secs(1),
        /// Most of each kind that one look takes on, in one transaction; the next takes more.
        pub chores_most: NonZeroU32 = const { NonZeroU32::new(256).unwrap() },
        /// How long a status may wait for its text to become known: a weekend, until somebody has settled a text
        /// that was held. Older ones are kept and no longer looked for.
        pub status_patience: Duration = Duration::from_secs(3 * 86_400),
        /// How often the database is asked whether lines or tokens changed. They work within a second.
        pub directory_poll: Duration = Duration::from_millis(250),
        /// How often the directory is published unasked, in case the stream was wiped.
        pub directory_republish: Duration = Duration::from_secs(60),
    }
}
