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
        /// Connections of one process. Workers write in bulk and seldom use more than a few; three roles and
        /// several processes must stay under the server's 100.
        pub max_connections: NonZeroU32 = const { NonZeroU32::new(10).unwrap() },
        /// How long to wait for a free connection, or for a new one.
        pub acquire_timeout: Duration = Duration::from_secs(5),
        /// How long one statement may take on PostgreSQL. The longest is a batch's bulk insert.
        pub statement_timeout: Duration = Duration::from_secs(10),
        /// After how long PostgreSQL ends a transaction in which nothing happens: it would hold its locks for ever.
        pub idle_in_transaction_timeout: Duration = Duration::from_secs(30),
        /// How long SQLite waits for another process's write.
        pub busy_timeout: Duration = Duration::from_secs(5),
    }
}
