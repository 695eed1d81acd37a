//! `[database]`: where cases live.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;

use super::section::section;

section! {
    /// Where cases live: PostgreSQL, or SQLite in `up`.
    pub struct Database {
        /// postgres://user:password@host/name or sqlite:path. A secret, since it holds the password. `up` keeps
        /// SQLite in its data folder when this is unset; worker and desk need it.
        pub url: Option<SecretString> = None,
        /// Connections of one process: a few per core of a usual database machine; several processes must stay under
        /// the server's own limit (100).
        pub max_connections: NonZeroU32 = const { NonZeroU32::new(16).unwrap() },
        /// How long to wait for a connection before the database counts as away: long enough for a burst, short
        /// enough that a worker notices an outage.
        pub acquire_timeout: Duration = Duration::from_secs(3),
        /// How long one statement may run. A batch takes milliseconds.
        pub statement_timeout: Duration = Duration::from_secs(15),
        /// How long a whole transaction may go without its end: a server that froze, or a network that swallows
        /// everything, ends no statement.
        pub transaction_timeout: Duration = Duration::from_secs(20),
    }
}
