use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Where the servers are, and how our streams on them are set up.
#[derive(Clone, Debug)]
pub struct JetStreamConfig {
    /// Servers of one cluster, with commas between: `nats://a:4222,nats://b:4222`. Without a password, which belongs
    /// in `credentials`.
    pub url: String,
    /// Who we are.
    pub credentials: Credentials,
    /// Certificates of the authority that signed the server's, when the system does not know it. Requires TLS.
    pub ca_file: Option<PathBuf>,
    /// Refuses a connection without TLS. A URL with `tls://` does so too.
    pub require_tls: bool,

    /// Streams. Four commit 5.8 k events a second where one commits 1.4 k (`sync_interval: always`).
    pub shards: u32,
    /// How long a dedupe id is remembered. 15 minutes cover Twilio's retries, its fallback URL and an operator's
    /// mistakes; the database remembers for ever. 100 events a second then cost the server 30 MB.
    pub duplicate_window: Duration,
    /// Bytes of one stream, beyond which it refuses. 2 GiB are two million texts. All streams together, and the
    /// server's own limit, must stay well below the disk: a full disk is a silent hang.
    pub max_bytes: u64,
    /// Oldest event kept, handled or not: longer than the longest weekend nobody looked.
    pub max_age: Duration,
    /// Largest event. A webhook's body may have 128 KiB; the rest is room for what comes with it.
    pub max_message_bytes: u32,
    /// Copies of every stream: 1, or 3 on three machines that fail apart.
    pub replicas: u32,
    /// How long a delivery may take before the event is delivered again: longer than the slowest batch.
    pub ack_wait: Duration,
    /// Events of one shard in work at once, over all workers, those put off among them.
    pub max_ack_pending: u32,
    /// The key-value bucket in which the directory hangs.
    pub directory_bucket: String,
    /// The directory is read again this often, whatever was or was not told of changes.
    pub directory_interval: Duration,

    /// Longest a publish may take, retry and all: well within the 15 s that Twilio waits.
    pub publish_timeout: Duration,
    /// Longest one request to the server may take that is no publish.
    pub request_timeout: Duration,
    /// Longest one attempt to connect may take. Attempts never end; between them are at most 4 s.
    pub connect_timeout: Duration,
    /// How often the server is asked for a sign of life. The third question without an answer to the first ends the
    /// connection, so a dead peer is noticed after up to three times this: the library's 60 s would be three minutes,
    /// and 10 s were measured as 31 s until texts flowed again.
    pub ping_interval: Duration,
    /// Where there are several servers: one that answers nothing but pings for so long is left for another. Longer than
    /// an election, and than a dead server takes to be noticed by its pings.
    pub leave_after: Duration,
}

/// How we show the server who we are.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// With a user's name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// With a `.creds` file, as `nsc` writes it.
    File(PathBuf),
}

impl Default for JetStreamConfig {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
            credentials: Credentials::None,
            ca_file: None,
            require_tls: false,
            shards: 4,
            duplicate_window: Duration::from_secs(15 * 60),
            max_bytes: 2 << 30,
            max_age: Duration::from_secs(7 * 24 * 3600),
            max_message_bytes: 256 << 10,
            replicas: 1,
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 4096,
            directory_bucket: "casewire_directory".to_owned(),
            directory_interval: Duration::from_secs(60),
            publish_timeout: Duration::from_millis(2500),
            request_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            ping_interval: Duration::from_secs(5),
            leave_after: Duration::from_secs(20),
        }
    }
}
