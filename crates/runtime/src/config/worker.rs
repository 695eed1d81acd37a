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
        /// An event that cannot be handled though the database answers is tried so often before it becomes a dead letter:
        /// what went wrong may be mended by a deployment or a moment's patience, and others do not wait for it.
        pub logic_tries: NonZeroU32 = const { NonZeroU32::new(5).unwrap() },
        /// Pause before such another try. Short: an event that is put off takes one of its shard's 512 places.
        pub logic_pause: Duration = Duration::from_secs(2),
        /// From this delivery on an event is handled alone: it, or one that came with it, may be what ended the process.
        /// A lost acknowledgement and one crash for another reason come before.
        pub suspect_from: NonZeroU32 = const { NonZeroU32::new(3).unwrap() },
        /// On this delivery an event becomes a dead letter before anything is done with it. Seven turns alone let the
        /// innocent get away from one that ends the process.
        pub most_deliveries: NonZeroU32 = const { NonZeroU32::new(10).unwrap() },
        /// How often the stream is told that a batch which waits for the database is still in good hands, so that others
        /// do not wait for it too and its events use up no deliveries. A third of the 30 s it waits for us.
        pub hold_interval: Duration = Duration::from_secs(10),
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
