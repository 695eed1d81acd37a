//! What a story has sent and what it was answered: its own books, to hold the others against.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Hook;

/// Pauses before Twilio's five retries. They add up to less than the 15 s Twilio takes in all.
const PAUSES: [u64; 5] = [250, 500, 1000, 2000, 4000];
/// After this long Twilio gives a webhook up.
const PATIENCE: Duration = Duration::from_secs(15);

/// One text, by its SID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) from: String,
    /// 200 once that was answered, else the last answer; nothing when there was none.
    pub(crate) answer: Option<u16>,
    /// Requests made.
    pub(crate) tries: u32,
}

#[derive(Default)]
pub(crate) struct Books(Mutex<BTreeMap<String, Entry>>);

impl Books {
    pub(crate) fn entries(&self) -> BTreeMap<String, Entry> {
        self.0.lock().unwrap().clone()
    }

    /// How many texts were answered 200.
    pub(crate) fn taken(&self) -> usize {
        self.0.lock().unwrap().values().filter(|entry| entry.answer == Some(200)).count()
    }

    /// What was refused has been found since: it must be in a case like everything that was taken.
    pub(crate) fn found(&self) {
        self.0.lock().unwrap().values_mut().for_each(|entry| entry.answer = Some(200));
    }

    /// Sends a text once and writes down what came of it.
    pub(crate) async fn send(&self, hook: &Hook, sid: &str, from: &str, body: &str) -> Option<u16> {
        let answer = hook.text(sid, from, body).await.ok().map(|answer| answer.status().as_u16());
        self.write(sid, from, answer);
        answer
    }

    /// Sends a text as Twilio does with `#rc=5&rp=all`; whether it was taken.
    pub(crate) async fn deliver(&self, hook: &Hook, sid: &str, from: &str, body: &str) -> bool {
        let start = Instant::now();
        for pause in PAUSES.map(Duration::from_millis).into_iter().chain([Duration::ZERO]) {
            if self.send(hook, sid, from, body).await == Some(200) {
                return true;
            }
            if start.elapsed() + pause > PATIENCE {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        false
    }

    /// Writes down what one request came to.
    pub(crate) fn write(&self, sid: &str, from: &str, answer: Option<u16>) {
        let mut books = self.0.lock().unwrap();
        let entry = books.entry(sid.to_owned()).or_default();
        from.clone_into(&mut entry.from);
        entry.tries += 1;
        if entry.answer != Some(200) {
            entry.answer = answer;
        }
    }
}
