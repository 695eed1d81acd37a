//! `[stream]`: the stream between ingest and worker.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::section::section;
use super::units::Size;
use super::url::NatsUrl;

section! {
    /// The stream between ingest and worker: NATS JetStream, or embedded in `up`.
    pub struct Stream {
        /// The NATS servers. `up` keeps an embedded stream when this is unset; the other roles need it.
        #[such_as("nats://127.0.0.1:4222")]
        pub nats_url: Option<NatsUrl> = None,
        /// User name at NATS.
        #[such_as("casewire")]
        pub user: Option<String> = None,
        /// Password of that user.
        pub password: Option<SecretString> = None,
        /// A NATS credentials file (JWT and seed), instead of user and password.
        #[such_as("/run/secrets/nats.creds")]
        pub credentials_file: Option<PathBuf> = None,
        /// Certificates that NATS' own must descend from. Unset: those of the system.
        #[such_as("/etc/casewire/nats-ca.pem")]
        pub ca_file: Option<PathBuf> = None,
        /// Streams the texts are spread over on NATS. A server that syncs every write has no group commit within a
        /// stream: four gave four times the throughput of one. Changing it later reorders texts under way.
        pub shards: NonZeroU16 = const { NonZeroU16::new(4).unwrap() },
        /// Copies of each stream: 1, or 3 on a cluster of three.
        pub replicas: NonZeroU16 = const { NonZeroU16::new(1).unwrap() },
        /// How long the stream recognises a repeated text. Longer than any retry of the provider or of ours; the
        /// database recognises repeats for ever.
        pub duplicate_window: Duration = Duration::from_secs(15 * 60),
        /// Most bytes a shard keeps; when full it refuses texts and loses none. About a million texts. All shards
        /// together must stay well under the volume: a full disk hangs the server silently.
        pub max_bytes: Size = Size::gib(1),
        /// How long a shard keeps an event: a long weekend's outage of the workers, twice.
        pub max_age: Duration = Duration::from_secs(7 * 86_400),
        /// Largest event. A body of 128 KiB with its envelope fits twice.
        pub max_message: Size = Size::kib(256),
        /// Time for one attempt to reach the server; attempts never end.
        pub connect_timeout: Duration = Duration::from_secs(2),
        /// Time for the answer to one request that is no publish. A healthy server takes milliseconds.
        pub request_timeout: Duration = Duration::from_secs(2),
        /// How often the server is asked for a sign of life. A dead one is noticed after three times as long, whatever
        /// the network did to its connection.
        pub ping_interval: Duration = Duration::from_secs(5),
        /// Where there are several servers: one that answers nothing but that, because it is cut off from the others, is
        /// left for another after so long. Longer than an election, and than a dead server takes to be noticed.
        pub leave_after: Duration = Duration::from_secs(20),
        /// How long ingest waits for the stream to say "stored" before it answers 503. Within the provider's 15 s
        /// there is then room for its retries.
        pub publish_timeout: Duration = Duration::from_millis(2500),
        /// How long a worker may hold an event before another gets it. Longer than the longest batch.
        pub ack_wait: Duration = Duration::from_secs(30),
        /// Events of a shard that workers may hold at once, those put off among them: a batch for each of sixteen
        /// workers. Where it is used up, those that wait get single events as others are done with theirs.
        pub max_ack_pending: NonZeroU32 = const { NonZeroU32::new(4096).unwrap() },
        /// How often the directory of lines is read again, in case a notice of its change was lost.
        pub directory_interval: Duration = Duration::from_secs(60),
    }
}
