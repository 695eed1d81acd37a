//! `[server]`: where a role listens and how it treats connections.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::section::section;
use super::url::HttpUrl;

/// Where health and metrics are served unless told otherwise. Only this address gives way when it is busy.
pub const DEFAULT_OPS_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 9090);

const LOOPBACK: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// `server.unready_time` of roles of which there can be several behind a proxy.
pub const DEFAULT_UNREADY_TIME: Duration = Duration::from_secs(5);

section! {
    /// Where a role listens and how it treats connections.
    pub struct Server {
        /// Webhooks, page and API. Loopback, until somebody decides that others may reach it.
        pub listen: SocketAddr = SocketAddr::new(LOOPBACK, 8080),
        /// Health and metrics, on a port of their own so that a proxy never publishes them.
        pub ops_listen: SocketAddr = DEFAULT_OPS_LISTEN,
        /// The origin under which the provider calls us: every signature covers it, so it cannot be guessed from a
        /// request. `up` takes http:// and its listening address when this is unset.
        #[such_as("https://sms.example.org")]
        pub public_url: Option<HttpUrl> = None,
        /// Threads that serve HTTP. Two keep one slow handler from delaying everybody; a webhook takes about a
        /// millisecond.
        pub workers: NonZeroU16 = const { NonZeroU16::new(2).unwrap() },
        /// Connections a thread keeps open; further ones wait in the kernel's queue. Bounds memory under a flood.
        pub max_connections: NonZeroU32 = const { NonZeroU32::new(4096).unwrap() },
        /// Time for a request's head from its first byte. Providers send it at once; whoever does not is keeping a
        /// connection busy.
        pub head_timeout: Duration = Duration::from_secs(3),
        /// How long an idle connection stays open, or one that was opened in advance: longer than a burst's gaps, short
        /// enough to free it.
        pub keep_alive: Duration = Duration::from_secs(15),
        /// How long to go on answering after SIGTERM while already saying "not ready", and closing each connection
        /// with its answer: the time a proxy needs to send no more. Two intervals of one that polls; Kubernetes takes
        /// a pod out of service only while the signal is already on its way. Unset: 5s for ingest and desk, which
        /// others can stand in for; none for the rest, and none after Ctrl-C.
        #[such_as("5s")]
        pub unready_time: Option<Duration> = None,
        /// How long work in hand may take after that. Longer than the longest handler, and with `unready_time`,
        /// `close_timeout` and the flush of 2 s still within the 60 s an orchestrator grants.
        pub drain_timeout: Duration = Duration::from_secs(30),
        /// How long files and connections may take to be closed after that. The last acknowledgements have 2 s to
        /// leave; a database that froze, or a disk that hangs, never lets go.
        pub close_timeout: Duration = Duration::from_secs(5),
    }
}
