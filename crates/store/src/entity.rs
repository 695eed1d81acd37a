//! Rows, one module a table, with their way to and from the domain's words. Nothing outside this crate
//! sees a row.

pub(crate) mod account;
pub(crate) mod case;
pub(crate) mod case_event;
pub(crate) mod contact;
pub(crate) mod conversation;
pub(crate) mod event;
pub(crate) mod installation;
pub(crate) mod line;
pub(crate) mod line_listing;
pub(crate) mod line_rate;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod reconciliation;
pub(crate) mod reply_key;
pub(crate) mod request;
pub(crate) mod stream_mark;
pub(crate) mod suppression;
pub(crate) mod token;
pub(crate) mod workspace;

use crate::error::Error;

/// What a stored word means; a word this version does not know is a defect of the row.
pub(crate) fn word<T>(
    table: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    stored: &str,
) -> Result<T, Error> {
    parse(stored).ok_or(Error::Unreadable { table, what: "an unknown word" })
}

/// A count as it is stored.
pub(crate) fn count(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A stored count.
pub(crate) fn uncount(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// What a JSON column holds, as it was read.
pub(crate) fn json<T>(table: &'static str, read: serde_json::Result<T>) -> Result<T, Error> {
    read.map_err(|_| Error::Unreadable { table, what: "a JSON column" })
}
