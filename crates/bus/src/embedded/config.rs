use std::time::Duration;

use super::clock::millis;

/// How an embedded stream is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// Shards. One: there is one writer anyway, and nothing to gain from more. When there were more before, their
    /// events are spread over those that are left.
    pub shards: u32,
    /// How long a dedupe id is remembered. 15 minutes cover Twilio's retries, its fallback URL and an operator's
    /// mistakes; the database remembers for ever.
    pub duplicate_window: Duration,
    /// Dedupe ids that are remembered, all of them in memory: a thousand a second for the whole window, some 60 MB. Beyond
    /// it the first are forgotten sooner, and the database's unique key still recognises them.
    pub most_ids: usize,
    /// Bytes of unfinished events a shard holds before it refuses more. 1 GiB is about a million texts: days of work
    /// for one process, and little enough for a laptop's disk.
    pub max_bytes: u64,
    /// Bytes of unfinished events that all shards hold together before they refuse more. No bound of its own where
    /// there is one shard.
    pub max_total_bytes: u64,
    /// Largest event. A webhook's body may have 128 KiB; the rest is room for what comes with it.
    pub max_message_bytes: usize,
    /// How long a delivery may take before the event is delivered again: longer than the slowest batch.
    pub ack_wait: Duration,
    /// Longest a publish may take: well within the 15 s that Twilio waits.
    pub publish_timeout: Duration,
    /// Requests that may wait for the writer; beyond it callers wait. Four full groups.
    pub queue: usize,
    /// Requests committed at once. At 256 the fsync is a small part of the cost already.
    pub group: usize,
    /// So many events stored within `rush_within` are a rush, to which consumers give way: five thousand a second, about
    /// what one process on two cores makes cases of. What comes slower is handed out at once.
    pub rush: usize,
    /// A moment, in which a disk that is not slow commits several groups. A rush is over when so long no more came of it.
    pub rush_within: Duration,
    /// Longest a consumer gives way before it takes its next events. A quarter of a second, so that a rush leaves most of
    /// the machine to those who wait for an answer, and cases go on all the same.
    pub rush_wait: Duration,
    /// Nobody gives way any more where the stream holds this part of `max_bytes`. A fifth: 250,000 texts, of which cases
    /// are made in little more than a minute, and four fifths of the room are left.
    pub rush_part: u64,
    /// Waiting consumers look again this often, whatever they were told: nothing depends on a wake-up.
    pub poll_interval: Duration,
    /// How long opening waits for another process to let go of the file: a moment, for a restart that overlaps.
    pub lock_timeout: Duration,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            shards: 1,
            duplicate_window: Duration::from_secs(15 * 60),
            most_ids: 1_000_000,
            max_bytes: 1 << 30,
            max_total_bytes: u64::MAX,
            max_message_bytes: 256 << 10,
            ack_wait: Duration::from_secs(30),
            publish_timeout: Duration::from_millis(2500),
            queue: 1024,
            group: 256,
            rush: 256,
            rush_within: Duration::from_millis(50),
            rush_wait: Duration::from_millis(250),
            rush_part: 5,
            poll_interval: Duration::from_secs(1),
            lock_timeout: Duration::from_secs(1),
        }
    }
}

impl EmbeddedConfig {
    /// Bytes from which on nobody gives way to a rush.
    pub(super) fn rush_backlog(&self) -> u64 {
        self.max_bytes / self.rush_part.max(1)
    }

    /// Ids stored up to this moment are forgotten.
    pub(super) fn expired(&self, now: i64) -> i64 {
        now.saturating_sub(millis(self.duplicate_window))
    }
}
