//! `[database]`: where cases live.

use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::section::section;

section! {
    /// Where cases live: PostgreSQL, or SQLite in `up`.
    pub struct Database {
        /// postgres://user:password@host/name or sqlite:path. A secret, since it holds the password. `up` keeps
        /// SQLite in its data folder when this is unset; worker and desk need it. Over a network add
        /// ?sslmode=verify-full, and &sslrootcert=path for an authority of your own: without it nobody checks who
        /// answers.
        pub url: Option<SecretString> = None,
        /// Connections of one process. Unset: 16 at the desk and in `up`, whose visitors come at once; in a worker
        /// `worker.batches` and three more, for what is sent, for what came of it and for the rest. At most half are kept
        /// for batches. Idle ones cost the server memory and time, and all processes together must stay under its limit (100).
        #[such_as("8")]
        pub max_connections: Option<NonZeroU32> = None,
        /// How long to wait for a connection before the database counts as away: long enough for a burst, short
        /// enough that a worker notices an outage.
        pub acquire_timeout: Duration = Duration::from_secs(3),
        /// How long one statement may run. A batch takes milliseconds.
        pub statement_timeout: Duration = Duration::from_secs(15),
        /// How long a whole transaction may go without its end: a server that froze, or a network that swallows
        /// everything, ends no statement. PostgreSQL ends one that sat idle for as long, and its locks with it.
        pub transaction_timeout: Duration = Duration::from_secs(20),
        /// How long SQLite waits where another program writes to the file: a command beside `up`, or a backup. Within
        /// `transaction_timeout`, so that it is a lock that is complained of.
        pub busy_timeout: Duration = Duration::from_secs(5),
    }
}

/// Ways of using TLS that PostgreSQL's clients know.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What is wrong with a database's URL, as far as can be told without the database. The URL itself is never repeated:
/// it holds the password.
pub(super) fn mistake_in(url: &str) -> Option<String> {
    if url.starts_with("sqlite:") {
        return None;
    }
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    let Some(parsed) = parsed else {
        return Some("`database.url` must be postgres://user:password@host/name or sqlite:path".to_owned());
    };
    parsed.query_pairs().find_map(|(name, value)| match &*name {
        "sslmode" | "ssl-mode" if !SSL_MODES.contains(&&*value.to_ascii_lowercase()) => {
            Some(format!("the sslmode of `database.url` must be one of {}", SSL_MODES.join(", ")))
        }
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" | "sslcert" | "ssl-cert" | "sslkey" | "ssl-key" => {
            let error = fs::read(&*value).err()?;
            Some(format!("`database.url` names {value} as its {name}, which cannot be read: {error}"))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_work_is_told_in_a_sentence_without_its_password() {
        for (url, told) in [
            ("mysql://u:hunter2@h/d", "must be postgres://"),
            ("u:hunter2@h/d", "must be postgres://"),
            ("postgres://u:hunter2@h/d?sslmode=verify", "must be one of disable, allow, prefer, require"),
            (
                "postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=/no/such.pem",
                "names /no/such.pem as its sslrootcert, which cannot be read: No such file",
            ),
        ] {
            let mistake = mistake_in(url).unwrap();
            assert!(mistake.contains(told) && !mistake.contains("hunter2"), "{mistake}");
        }
        for url in ["sqlite:x.db", "postgres://u:p@h/d", "postgresql://u:p%40@[::1]:5/d?sslmode=verify-full"]
        {
            assert_eq!(mistake_in(url), None, "{url}");
        }
    }
}
