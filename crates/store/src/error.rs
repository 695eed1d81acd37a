//! What can go wrong with the database, by what should be done about it.

use sea_orm::{DbErr, RuntimeErr, SqlErr, SqlxError};

/// Why an operation of the store failed. The text never holds a parameter or a row.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, is too slow, or its disk is full. Retry, later.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] DbErr),
    /// Another transaction was in the way. Retry, at once.
    #[error("another transaction was in the way")]
    Conflict,
    /// The database refuses the data. Final: set the command aside.
    #[error("the database refused the statement: {0}")]
    Refused(#[source] DbErr),
    /// A stored row does not make sense to this version. Final.
    #[error("a row of table {table} cannot be read: {what}")]
    Unreadable {
        /// Where it stands.
        table: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The schema is not the one this version knows. Final until `casewire migrate` has run.
    #[error("{0}")]
    Schema(String),
    /// The master key is not the one this installation's secrets were sealed with. Final.
    #[error("{0}")]
    WrongMasterKey(String),
    /// Every case number of eight digits is taken. Final.
    #[error("all case numbers of eight digits are taken")]
    NumbersExhausted,
    /// The task that ran the transaction panicked or was stopped with the process. Set aside.
    #[error("the transaction's task ended before it did")]
    Interrupted,
    /// What an administrator asked for cannot be done. Final; the sentence says why.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Whether the same operation may succeed later without anything being changed about it.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict)
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match kind(&error) {
            Kind::Unavailable => Self::Unavailable(error),
            Kind::Conflict => Self::Conflict,
            Kind::Refused => Self::Refused(error),
        }
    }
}

enum Kind {
    Unavailable,
    Conflict,
    Refused,
}

fn kind(error: &DbErr) -> Kind {
    if let Some(SqlErr::UniqueConstraintViolation(_)) = error.sql_err() {
        return Kind::Conflict;
    }
    let runtime = match error {
        DbErr::ConnectionAcquire(_) => return Kind::Unavailable,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return Kind::Refused,
    };
    let RuntimeErr::SqlxError(error) = runtime else { return Kind::Unavailable };
    match error.as_ref() {
        SqlxError::Database(error) => by_code(error.code().as_deref().unwrap_or_default()),
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

/// PostgreSQL has five-character SQLSTATEs, SQLite decimal (extended) result codes.
fn by_code(code: &str) -> Kind {
    match code {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Kind::Conflict,
        // Lock not available, query canceled by a time-out.
        "55P03" | "57014" => Kind::Unavailable,
        // Read-only after a failover.
        "25006" => Kind::Unavailable,
        _ if code.len() == 5 => match code.get(..2) {
            // Connection, resources (disk, memory, connections), operator intervention, system error.
            Some("08" | "53" | "57" | "58") => Kind::Unavailable,
            _ => Kind::Refused,
        },
        // The primary code is the low byte: busy, locked, no memory, read-only, interrupted, IO, full, cannot open.
        _ => match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5..=10 | 13 | 14) => Kind::Unavailable,
            _ => Kind::Refused,
        },
    }
}
