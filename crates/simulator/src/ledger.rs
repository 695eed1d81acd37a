//! What was accepted, what was answered and what became of every webhook: what a test compares its own books
//! with. Nothing is ever removed from it but by age.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use casewire_domain::{Address, Text};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::sid::{AccountSid, Sid};
use crate::webhook::Outcome;

/// A text that was accepted through the REST API, whatever was answered.
#[derive(Clone, Debug, Serialize)]
pub struct SendEntry {
    /// Its number in this ledger, from 1.
    pub entry: u64,
    /// The id it was given.
    pub sid: Sid,
    /// Whose it is.
    pub account_sid: AccountSid,
    /// From which line; of a Messaging Service, the number it chose.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// The words.
    pub body: Text,
    /// Where its callbacks go.
    pub status_callback: Option<String>,
    /// When.
    pub accepted_at: DateTime<Utc>,
    /// What the sender was told.
    pub answered: Answered,
}

/// What the sender of an accepted text was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// 201 and the message.
    Created,
    /// 500.
    Error,
    /// Nothing for a long time.
    Hung,
    /// Nothing; the connection was closed.
    Reset,
    /// Half a 201, then the connection was closed.
    Truncated,
    /// A 201 with half a body.
    Garbled,
}

/// A text from a handset to a line, once its webhook has been delivered or given up.
#[derive(Clone, Debug, Serialize)]
pub struct TextEntry {
    /// Its number in this ledger, from 1.
    pub entry: u64,
    /// The id it was given.
    pub sid: Sid,
    /// Whose line it was sent to.
    pub account_sid: AccountSid,
    /// Whose handset.
    pub from: Address,
    /// Which line.
    pub to: Address,
    /// The words.
    pub body: Text,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// What became of the webhook, of each of its copies when a fault duplicated it.
    pub webhooks: Vec<Outcome>,
    /// What became of the fallback webhook, when it was called.
    pub fallback: Option<Outcome>,
}

impl TextEntry {
    /// Whether the line's owner answered 2xx to any of the requests.
    pub fn taken(&self) -> bool {
        self.webhooks.iter().chain(&self.fallback).any(Outcome::is_success)
    }
}

/// What became of status callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallbackCounts {
    /// Answered 2xx.
    pub delivered: u64,
    /// Given up.
    pub failed: u64,
    /// Dropped by a fault.
    pub dropped: u64,
}

/// What the ledger holds at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    /// Accepted sends, oldest first.
    #[serde(serialize_with = "each")]
    pub sends: Vec<Arc<SendEntry>>,
    /// Texts from handsets, in the order their webhooks ended.
    #[serde(serialize_with = "each")]
    pub texts: Vec<Arc<TextEntry>>,
    /// How many sends were refused, by Twilio's error code.
    pub refused: BTreeMap<u32, u64>,
    /// What became of status callbacks.
    pub callbacks: CallbackCounts,
}

/// Writes shared entries as if they were not.
fn each<T: Serialize, S: Serializer>(entries: &[Arc<T>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(entries.iter().map(Arc::as_ref))
}

/// The last `keep` entries of a list that only grows.
pub(crate) struct Tail<T> {
    keep: usize,
    written: u64,
    entries: VecDeque<Arc<T>>,
}

impl<T> Tail<T> {
    fn new(keep: usize) -> Self {
        Self { keep: keep.max(1), written: 0, entries: VecDeque::new() }
    }

    /// Writes an entry, which is told its number.
    pub(crate) fn write(&mut self, entry: impl FnOnce(u64) -> T) -> Arc<T> {
        self.written += 1;
        let entry = Arc::new(entry(self.written));
        self.entries.push_back(Arc::clone(&entry));
        if self.entries.len() > self.keep {
            self.entries.pop_front();
        }
        entry
    }

    /// At most `limit` entries after the one numbered `after`.
    pub(crate) fn after(&self, after: u64, limit: usize) -> Vec<Arc<T>> {
        let first = self.written - self.entries.len() as u64;
        let skip = usize::try_from(after.saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(limit).cloned().collect()
    }
}

/// The ledger while it is written.
pub(crate) struct Book {
    pub(crate) sends: Tail<SendEntry>,
    pub(crate) texts: Tail<TextEntry>,
    pub(crate) refused: BTreeMap<u32, u64>,
    pub(crate) callbacks: CallbackCounts,
}

impl Book {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            sends: Tail::new(keep),
            texts: Tail::new(keep),
            refused: BTreeMap::new(),
            callbacks: CallbackCounts::default(),
        }
    }

    /// What is written, of each list at most `limit` entries after the given ones.
    pub(crate) fn read(&self, sends_after: u64, texts_after: u64, limit: usize) -> Ledger {
        Ledger {
            sends: self.sends.after(sends_after, limit),
            texts: self.texts.after(texts_after, limit),
            refused: self.refused.clone(),
            callbacks: self.callbacks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_outgrew_its_bound_is_read_on_from_any_entry() {
        let mut tail = Tail::new(3);
        for _ in 0..5 {
            tail.write(|n| n);
        }
        let after = |n, limit| tail.after(n, limit).iter().map(|n| **n).collect::<Vec<_>>();
        assert_eq!(after(0, 10), [3, 4, 5]);
        assert_eq!(after(3, 1), [4]);
        assert_eq!(after(5, 10), [0; 0]);
        assert_eq!(after(99, 10), [0; 0]);
    }
}
