//! What the load generator sent and what it was answered: its own ledger, to hold the others against.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a text is, by which what must become of it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An ordinary text: it must be in a case.
    #[default]
    Text,
    /// A STOP: recorded, in no case, and nothing is sent to its sender any more.
    Stop,
    /// What no provider sends, though it is signed: stored once, or set aside.
    Strange,
    /// Signed by somebody else: refused, and nowhere.
    Forged,
}

/// One text, by its SID.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// 200 once that was answered, else the last answer; 0 when there was none.
    pub(crate) answer: u16,
    /// Requests made.
    pub(crate) tries: u16,
    /// Who sent it.
    pub(crate) sender: u64,
    /// When the first request began, and when the one that was taken was answered; from the start of the books.
    pub(crate) first: Duration,
    pub(crate) done: Duration,
}

impl Entry {
    pub(crate) fn taken(&self) -> bool {
        self.answer == 200
    }
}

/// One request and its answer; 0 is none.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Duration,
    took: Duration,
    status: u16,
}

#[derive(Default)]
struct Pages {
    entries: HashMap<String, Entry>,
    answers: Vec<Answer>,
    taken: u64,
    late: u64,
}

/// The ledger of one row, written by many clients.
pub(crate) struct Books {
    start: Instant,
    pages: Mutex<Pages>,
}

/// Latencies of requests, whatever they were answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Books {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), pages: Mutex::default() }
    }

    pub(crate) fn entries(&self) -> HashMap<String, Entry> {
        self.pages.lock().unwrap().entries.clone()
    }

    /// Texts that were answered 200.
    pub(crate) fn taken(&self) -> u64 {
        self.pages.lock().unwrap().taken
    }

    /// Texts sent, requests made, and texts that came later than they should because too many were under way.
    pub(crate) fn sizes(&self) -> (usize, usize, u64) {
        let pages = self.pages.lock().unwrap();
        (pages.entries.len(), pages.answers.len(), pages.late)
    }

    pub(crate) fn came_late(&self) {
        self.pages.lock().unwrap().late += 1;
    }

    /// Writes down what one request came to.
    pub(crate) fn write(&self, sid: &str, kind: Kind, sender: u64, sent: Instant, status: u16) {
        let answer = Answer { at: sent.saturating_duration_since(self.start), took: sent.elapsed(), status };
        let mut pages = self.pages.lock().unwrap();
        pages.answers.push(answer);
        let new = Entry { kind, sender, first: answer.at, ..Entry::default() };
        let entry = pages.entries.entry(sid.to_owned()).or_insert(new);
        entry.tries = entry.tries.saturating_add(1);
        if !entry.taken() {
            entry.answer = status;
            entry.done = answer.at + answer.took;
            pages.taken += u64::from(status == 200);
        }
    }

    /// Texts that were neither taken nor refused as forged.
    pub(crate) fn given_up(&self) -> usize {
        let pages = self.pages.lock().unwrap();
        pages.entries.values().filter(|entry| !entry.taken() && entry.kind != Kind::Forged).count()
    }

    /// How many requests got this answer.
    pub(crate) fn answered(&self, status: u16) -> usize {
        self.pages.lock().unwrap().answers.iter().filter(|answer| answer.status == status).count()
    }

    /// Statuses that no request should get, and how many of those begun since then got each.
    pub(crate) fn strange(&self, since: Instant) -> BTreeMap<u16, usize> {
        let since = since.saturating_duration_since(self.start);
        let mut strange = BTreeMap::new();
        for answer in &self.pages.lock().unwrap().answers {
            if answer.at >= since && ![0, 200, 204, 403, 503].contains(&answer.status) {
                *strange.entry(answer.status).or_default() += 1;
            }
        }
        strange
    }

    /// The latencies of the requests that were begun between two moments.
    pub(crate) fn latency(&self, from: Instant, to: Instant) -> Latency {
        let window = from.saturating_duration_since(self.start)..to.saturating_duration_since(self.start);
        let pages = self.pages.lock().unwrap();
        let within: Vec<_> = pages.answers.iter().filter(|answer| window.contains(&answer.at)).collect();
        let mut took: Vec<_> = within.iter().map(|answer| answer.took).collect();
        took.sort_unstable();
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        Latency { p50: at(50), p99: at(99), longest: took.last().copied().unwrap_or_default() }
    }
}
