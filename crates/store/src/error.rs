//! What can go wrong with the database, by what should be done about it.

use sea_orm::{DbErr, RuntimeErr, SqlErr, SqlxError};

/// Why an operation of the store failed. The text never holds a parameter or a row.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, is too slow, or its disk is full. Retry, later.
    #[error("the database is not available: {}", told(.0))]
    Unavailable(DbErr),
    /// A statement took longer than it may, and the database ended it. Retry with less in it; alone and again too
    /// slow while others are not, it is to blame.
    #[error("a statement took too long: {}", told(.0))]
    TooSlow(DbErr),
    /// Another transaction was in the way. Retry, at once.
    #[error("another transaction was in the way: {}", told(.0))]
    Conflict(DbErr),
    /// The database refuses the data. Final: set the command aside.
    #[error("the database refused the statement: {}", told(.0))]
    Refused(DbErr),
    /// A stored row does not make sense to this version. Final.
    #[error("a row of table {table} cannot be read: {what}")]
    Unreadable {
        /// Where it stands.
        table: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The schema is not the one this version knows, or its tables may not be used. Final until a person has
    /// acted: `casewire migrate`, or a grant.
    #[error("{0}")]
    Schema(String),
    /// Every case number of eight digits is taken. Final.
    #[error("all case numbers of eight digits are taken")]
    NumbersExhausted,
    /// The task that ran the transaction panicked; nothing was committed. Set aside.
    #[error("the transaction's task panicked")]
    Panicked,
    /// The task that ran the transaction was stopped with the process. Retry.
    #[error("the transaction's task was stopped before it ended")]
    Interrupted,
    /// What an administrator asked for cannot be done. Final; the sentence says why.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// What ran into the database's time limit, for whoever stands in for a database.
    pub fn too_slow(said: &str) -> Self {
        Self::TooSlow(DbErr::Custom(said.to_owned()))
    }

    /// Whether the same operation may succeed later without anything being changed about it.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TooSlow(_) | Self::Conflict(_) | Self::Interrupted)
    }

    /// Whether what was handed in is to blame, as far as can be told: a batch that failed so may succeed without
    /// one of its commands. After any other error nothing is known against them, so they must be kept.
    pub fn blames_input(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unreadable { .. } | Self::Panicked)
    }

    /// The database said no so often to what was in the way that it cannot be another transaction: the row that
    /// should be unique is there to stay.
    pub(crate) fn persistent(self) -> Self {
        match self {
            Self::Conflict(error) if is_unique_violation(&error) => Self::Refused(error),
            other => other,
        }
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match kind(&error) {
            Kind::Unavailable => Self::Unavailable(error),
            Kind::TooSlow => Self::TooSlow(error),
            Kind::Conflict => Self::Conflict(error),
            Kind::Refused => Self::Refused(error),
            Kind::Schema => {
                Self::Schema(format!("the database is not as this version needs it: {}", told(&error)))
            }
        }
    }
}

/// What the database said, without the names of the layers it came through.
fn told(error: &DbErr) -> String {
    let (DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime)) = error else {
        return error.to_string();
    };
    match runtime {
        RuntimeErr::SqlxError(error) => match error.as_ref() {
            SqlxError::Database(error) => error.message().to_owned(),
            SqlxError::Io(error) => error.to_string(),
            other => other.to_string(),
        },
        RuntimeErr::Internal(said) => said.clone(),
    }
}

#[derive(Debug, PartialEq)]
enum Kind {
    Unavailable,
    TooSlow,
    Conflict,
    Refused,
    Schema,
}

fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

fn kind(error: &DbErr) -> Kind {
    if is_unique_violation(error) {
        return Kind::Conflict;
    }
    let runtime = match error {
        DbErr::ConnectionAcquire(_) => return Kind::Unavailable,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return Kind::Refused,
    };
    let RuntimeErr::SqlxError(error) = runtime else { return Kind::Unavailable };
    match error.as_ref() {
        SqlxError::Database(error) => {
            let code = error.code().unwrap_or_default();
            if code.len() == 5 { by_sqlstate(&code) } else { by_sqlite_code(&code, error.message()) }
        }
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

/// PostgreSQL's code for a statement that ran into `statement_timeout`. One that waits for a lock runs into the
/// shorter `lock_timeout` first, which is nobody's fault.
const QUERY_CANCELED: &str = "57014";

/// What others of class 40 say is not that nothing was committed: 40003 says that nobody knows.
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK: &str = "40P01";

/// Only what a value can cause is held against the values. A server that is away, full, read-only after a
/// failover, or in any other trouble must never turn texts into dead letters.
fn by_sqlstate(code: &str) -> Kind {
    match code {
        QUERY_CANCELED => return Kind::TooSlow,
        SERIALIZATION_FAILURE | DEADLOCK => return Kind::Conflict,
        _ => {}
    }
    match code.get(..2) {
        // One row twice in a statement, bad value, constraint, beyond a limit of the server, raised by a trigger.
        Some("21" | "22" | "23" | "54" | "P0") => Kind::Refused,
        // No such table or column, no right to use it.
        Some("42") => Kind::Schema,
        _ => Kind::Unavailable,
    }
}

/// The primary code is the low byte of the extended one.
fn by_sqlite_code(code: &str, message: &str) -> Kind {
    match code.parse::<u32>().map(|code| code & 0xff) {
        // A general error: a table that is not there; or a statement that a value made too large.
        Ok(1) if message.starts_with("no such ") || message.contains(" has no column ") => Kind::Schema,
        // Too big, constraint, mismatch, out of range.
        Ok(1 | 18 | 19 | 20 | 25) => Kind::Refused,
        _ => Kind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_value_can_cause_is_held_against_it() {
        for (code, expected) in [
            ("40P01", Kind::Conflict),
            ("40001", Kind::Conflict),
            ("40003", Kind::Unavailable),
            ("22021", Kind::Refused),
            ("23514", Kind::Refused),
            ("42P01", Kind::Schema),
            ("42501", Kind::Schema),
            ("57P01", Kind::Unavailable),
            ("57014", Kind::TooSlow),
            ("55P03", Kind::Unavailable),
            ("53100", Kind::Unavailable),
            ("25006", Kind::Unavailable),
            ("28P01", Kind::Unavailable),
            ("3D000", Kind::Unavailable),
            ("XX000", Kind::Unavailable),
        ] {
            assert_eq!(by_sqlstate(code), expected, "{code}");
        }
        for (code, message, expected) in [
            ("1811", "raised", Kind::Refused),
            ("1", "too many SQL variables", Kind::Refused),
            ("1", "no such table: message", Kind::Schema),
            ("5", "database is locked", Kind::Unavailable),
            ("13", "database or disk is full", Kind::Unavailable),
            ("11", "database disk image is malformed", Kind::Unavailable),
            ("", "", Kind::Unavailable),
        ] {
            assert_eq!(by_sqlite_code(code, message), expected, "{code} {message}");
        }
    }
}
