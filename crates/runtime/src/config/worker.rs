//! `[worker]`: how events are taken from the stream.

use std::num::NonZeroU32;
use std::time::Duration;

use super::section::section;

section! {
    /// How events are taken from the stream.
    pub struct Worker {
        /// Most events of one transaction. Larger batches gained little and hold their locks longer.
        pub batch_size: NonZeroU32 = const { NonZeroU32::new(256).unwrap() },
        /// Batches in PostgreSQL at once, of all shards together, over connections that are kept for them: what agents do
        /// and what is sent never waits behind batches. At most half of `database.max_connections`. Behind each is a
        /// process of PostgreSQL's with plans and a view of memory of its own, which slows all where cores are few: with three,
        /// four workers on two cores made 7 % fewer cases than one. One by itself makes a twentieth fewer with two.
        pub batches: NonZeroU32 = const { NonZeroU32::new(2).unwrap() },
        /// How long one request for events waits while there are none; it ends at once when one comes.
        pub fetch_wait: Duration = Duration::from_secs(1),
        /// First pause after the database could not be reached; it doubles up to `retry_most`.
        pub retry_first: Duration = Duration::from_millis(250),
        /// Longest such pause: how long a worker may stay idle after the database is back.
        pub retry_most: Duration = Duration::from_secs(10),
        /// An event that cannot be handled though the database answers is tried so often before it becomes a dead letter:
        /// what went wrong may be mended by a deployment or a moment's patience, and others do not wait for it.
        pub logic_tries: NonZeroU32 = const { NonZeroU32::new(5).unwrap() },
        /// Pause before such another try. Short: an event that is put off takes one of its shard's places
        /// (`stream.max_ack_pending`), and a sweeper waits for it.
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
        /// How often it is counted for metrics how cases stand and how much waits, on the stream, in the outbox and as dead
        /// letters: metrics are read every 15 s, and counting each second would be done by each worker. Alerts and the
        /// scaling of workers see no more than this.
        pub counting_interval: Duration = Duration::from_secs(15),
        /// Most of each kind that one look takes on, in one transaction; the next takes more.
        pub chores_most: NonZeroU32 = const { NonZeroU32::new(256).unwrap() },
        /// How long a status may wait for its text to become known: a weekend, until somebody has settled a text
        /// that was held. Older ones are kept and no longer looked for.
        pub status_patience: Duration = Duration::from_secs(3 * 86_400),
        /// How often the database is asked whether lines or tokens changed. They work within a second.
        pub directory_poll: Duration = Duration::from_millis(500),
        /// How often the directory is published unasked, in case the stream was wiped.
        pub directory_republish: Duration = Duration::from_secs(60),
        /// How often each shard is compared with the database, by one of the workers: events that have no row were passed
        /// over and are handled, those that have one and are old leave the stream. Each event is read once more for it.
        pub sweep_interval: Duration = Duration::from_secs(300),
        /// What is younger is in work, in the stream as on the provider's list: an event takes a second, and comes again
        /// after 30 s where a worker died.
        pub sweep_settle: Duration = Duration::from_secs(60),
        /// Events of one page of such a sweep: a quarter of a megabyte usually, 64 if each were as large as may be.
        pub sweep_page: NonZeroU32 = const { NonZeroU32::new(256).unwrap() },
        /// An event so old that a consumer which stands still owes us is handled without it. Long after the last of
        /// `most_deliveries`, so that what ends the process is set aside and not met here.
        pub sweep_patience: Duration = Duration::from_secs(30 * 60),
        /// How long a sweeper has its job without a sign of life. It gives one with every page, which takes seconds; a
        /// worker that died holds the others up for no longer.
        pub sweep_lease: Duration = Duration::from_secs(60),
        /// How often the provider's lists are compared with the database, by one of the workers: two requests a line.
        pub reconcile_interval: Duration = Duration::from_secs(3600),
        /// How long after a worker's start the first such comparison may begin: the stream's own backlog comes before.
        pub reconcile_settle: Duration = Duration::from_secs(30),
        /// A start brings none forward while the last one is younger: restarts must not cost requests.
        pub reconcile_gap: Duration = Duration::from_secs(600),
        /// So much of what was compared is compared again: the provider's clock is not ours, and its list may be late.
        pub reconcile_overlap: Duration = Duration::from_secs(900),
        /// How far back the first comparison of a line goes, but not to before it was added: what came then was somebody
        /// else's to answer.
        pub reconcile_first: Duration = Duration::from_secs(86_400),
        /// Most pages of 1,000 messages read of one list at once: ten times what a number can send in a day.
        pub reconcile_pages: NonZeroU32 = const { NonZeroU32::new(400).unwrap() },
        /// How often the provider is asked for one page before the line is left to the next comparison.
        pub reconcile_tries: NonZeroU32 = const { NonZeroU32::new(6).unwrap() },
        /// First pause before it is asked again; it doubles up to `reconcile_retry_most`.
        pub reconcile_retry_first: Duration = Duration::from_millis(500),
        /// Longest such pause, also where the provider asks for a longer one: others wait for their comparison.
        pub reconcile_retry_most: Duration = Duration::from_secs(30),
    }
}
