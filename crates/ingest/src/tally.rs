//! What one thread has counted, and the metrics do not show yet. Counting each webhook at once would pass a dozen lines
//! of memory from one thread's core to the other's and back, which waits for each of them.

use std::mem::{replace, take};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use casewire_bus::PublishError;
use casewire_domain::TraceParent;
use casewire_runtime::ops::Exemplar;
use casewire_twilio::signature::Signer;
use tracing::Span;

use crate::metrics::{Kind, Outcome, Reason, SigningKey, Webhooks};

/// Notes of a thread that wait to be counted: enough to make counting rare, few enough to stay in its core's memory.
const MOST: usize = 256;

/// One thing to be counted.
pub(crate) enum Note {
    /// A signature holds.
    Signed(SigningKey),
    /// A webhook was answered.
    Answered(Kind, Outcome, Duration, Option<Exemplar>),
    /// A shard said that it has an event.
    Stored(u32, Duration, Option<Exemplar>),
    /// A shard did not take an event.
    NotStored(u32, Reason),
}

/// A thread's notes. Before metrics are shown, they are counted.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Note>>>);

impl Notes {
    /// Adds one; returns all once they are many.
    fn add(&self, note: Note) -> Option<Vec<Note>> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
        (notes.len() >= MOST).then(|| replace(&mut *notes, Vec::with_capacity(MOST)))
    }

    /// Whether the thread may add more.
    pub(crate) fn are_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// All of them, which are then no more.
    pub(crate) fn take(&self) -> Vec<Note> {
        take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts for one thread.
pub(crate) struct Tally {
    notes: Notes,
    all: Webhooks,
}

impl Tally {
    pub(crate) fn new(all: Webhooks) -> Self {
        Self { notes: all.notes(), all }
    }

    /// A webhook's signature holds.
    pub(crate) fn signed(&self, signer: Signer) {
        self.note(Note::Signed(signer.into()));
    }

    /// A webhook was answered.
    pub(crate) fn answered(&self, kind: Kind, outcome: Outcome, took: Duration, span: &Span) {
        self.note(Note::Answered(kind, outcome, took, Exemplar::of(span)));
    }

    /// The stream said that it has an event.
    pub(crate) fn stored(&self, shard: u32, took: Duration, trace: Option<&TraceParent>) {
        self.note(Note::Stored(shard, took, trace.and_then(Exemplar::of_trace)));
    }

    /// The stream did not take an event.
    pub(crate) fn not_stored(&self, shard: u32, error: &PublishError) {
        self.note(Note::NotStored(shard, error.into()));
    }

    fn note(&self, note: Note) {
        if let Some(notes) = self.notes.add(note) {
            self.all.count(notes);
        }
    }
}

#[cfg(test)]
mod tests {
    use casewire_runtime::ops::Metrics;

    use super::*;

    #[test]
    fn what_threads_noted_is_counted_once_however_many_notes_there_are_and_whoever_asks() {
        let metrics = Metrics::default();
        let webhooks = Webhooks::register(&metrics, 1);
        let threads = [Tally::new(webhooks.clone()), Tally::new(webhooks)];
        let shown = |expected: usize| {
            let text = metrics.encode().unwrap();
            for line in [
                format!(
                    "casewire_webhook_requests_total{{kind=\"inbound\",outcome=\"accepted\"}} {expected}\n"
                ),
                format!("casewire_publish_ack_duration_seconds_count{{stream=\"IN_0\"}} {expected}\n"),
            ] {
                assert!(text.contains(&line), "{line}{text}");
            }
        };
        shown(0);
        for _ in 0..MOST {
            for thread in &threads {
                thread.stored(0, Duration::from_millis(1), None);
                thread.answered(Kind::Inbound, Outcome::Accepted, Duration::from_millis(2), &Span::none());
            }
        }
        shown(2 * MOST);
        shown(2 * MOST);
        drop(threads);
        shown(2 * MOST);
    }
}
