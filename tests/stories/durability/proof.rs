//! Whether every answer came after the fsync that covers its event.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use super::calls::Call;

const READ: &[&str] = &["read", "recvfrom"];
const WRITTEN: &[&str] = &["write", "writev", "pwrite64", "pwritev"];
const SENT: &[&str] = &["write", "writev", "sendto", "sendmsg"];
const SYNCED: &[&str] = &["fsync", "fdatasync"];
/// How the SID of a webhook begins in its form.
const SID: &str = "MessageSid=";
/// Letters of a SID.
const SID_LEN: usize = 34;

/// What a program did.
pub(crate) struct Proof {
    calls: Vec<Call>,
    /// Paths of the files that keep events, without the ending of a write-ahead log.
    files: Vec<String>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// SIDs answered after their fsync.
    pub(crate) durable: BTreeSet<String>,
    /// SIDs answered before it, and why.
    pub(crate) early: BTreeMap<String, &'static str>,
}

impl Proof {
    pub(super) fn new(calls: Vec<Call>, files: &[PathBuf]) -> Self {
        // strace shows real paths.
        let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        Self { calls, files: files.iter().map(|path| real(path).display().to_string()).collect() }
    }

    /// The same, as if nothing had ever been brought to the disk: what this checker must notice.
    pub(crate) fn without_syncs(&self) -> Self {
        let calls = self.calls.iter().filter(|call| !SYNCED.contains(&&*call.name)).cloned().collect();
        Self { calls, files: self.files.clone() }
    }

    /// Every webhook that was answered with 200 or 204.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for (sid, answered) in self.answers() {
            match self.covered(&sid, answered) {
                Ok(()) => drop(verdict.durable.insert(sid)),
                Err(why) => drop(verdict.early.insert(sid, why)),
            }
        }
        verdict
    }

    /// SIDs with the moment at which the answer began to leave, on the connection that the request had come by.
    fn answers(&self) -> Vec<(String, usize)> {
        let mut asked: HashMap<&str, String> = HashMap::new();
        let mut answers = Vec::new();
        // A request counts when it was read, an answer when it began: in that order they are connected.
        let mut calls: Vec<&Call> = self.calls.iter().filter(|call| call.on.starts_with("socket:")).collect();
        calls.sort_by_key(|call| if READ.contains(&&*call.name) { call.ended } else { call.began });
        for call in calls {
            if READ.contains(&&*call.name) {
                if let Some(sid) = sid(&call.arguments) {
                    asked.insert(&call.on, sid);
                }
            } else if SENT.contains(&&*call.name)
                && ["\"HTTP/1.1 200", "\"HTTP/1.1 204"].iter().any(|head| call.arguments.contains(head))
                && let Some(sid) = asked.remove(&*call.on)
            {
                answers.push((sid, call.began));
            }
        }
        answers
    }

    /// Whether the event's bytes were written to a file that keeps events, then a sync of that file began and ended
    /// well, and only then the answer began.
    fn covered(&self, sid: &str, answered: usize) -> Result<(), &'static str> {
        let keeps =
            |call: &&Call| self.files.iter().any(|file| call.on == *file || call.on == format!("{file}-wal"));
        let mut writes = self.calls.iter().filter(keeps).filter(|call| {
            WRITTEN.contains(&&*call.name)
                && call.result > 0
                && call.arguments.contains(sid)
                && call.ended < answered
        });
        let written = writes.next().ok_or("it was answered before its bytes were written")?;
        let synced = self.calls.iter().any(|call| {
            SYNCED.contains(&&*call.name)
                && call.on == written.on
                && call.result == 0
                && call.began > written.ended
                && call.ended < answered
        });
        if synced { Ok(()) } else { Err("it was written, and answered before a sync had ended") }
    }
}

fn sid(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(SID)?;
    rest.get(..SID_LEN).map(str::to_owned)
}

mod tests {
    use super::super::calls;
    use super::*;

    const ONE: &str = "SM0000000000000000000000000000000a";

    /// A request, its page in the log, the fsync and the answer, each in a thread of its own.
    fn lines() -> Vec<String> {
        [
            &format!("1 recvfrom(9<socket:[4]>, \"POST /inbound/x HTTP/1.1\\r\\n\\r\\nMessageSid={ONE}&Body=a\", 4096, 0, NULL, NULL) = 90"),
            &format!("2 pwrite64(7</data/stream.db-wal>, \"\\0\\1i:AC1:{ONE}\\3\", 4096, 56) = 4096"),
            "3 pwrite64(8</data/casewire.db-wal>, \"\\0\", 4096, 56) = 4096",
            "2 fdatasync(7</data/stream.db-wal>) = 0",
            "1 sendto(9<socket:[4]>, \"HTTP/1.1 200 OK\\r\\n\", 90, MSG_NOSIGNAL, NULL, 0) = 90",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn verdict(lines: &[String]) -> Verdict {
        Proof::new(calls::read(&lines.join("\n")), &["/data/stream.db".into()]).verdict()
    }

    #[test]
    fn an_answer_after_the_fsync_of_its_page_is_durable() {
        assert_eq!(verdict(&lines()), Verdict { durable: [ONE.to_owned()].into(), ..Verdict::default() });
    }

    #[test]
    fn whatever_is_missing_or_too_late_is_noticed() {
        let replaced = |at: usize, line: &str| {
            let mut lines = lines();
            lines[at] = line.to_owned();
            lines
        };
        let swapped = |a: usize, b: usize| {
            let mut lines = lines();
            lines.swap(a, b);
            lines
        };
        for (what, changed) in [
            ("no fsync", replaced(3, "")),
            ("the fsync of another file", replaced(3, "2 fdatasync(8</data/casewire.db-wal>) = 0")),
            ("an fsync that failed", replaced(3, "2 fdatasync(7</data/stream.db-wal>) = -1 EIO (error)")),
            ("an fsync before the write", swapped(1, 3)),
            ("an fsync after the answer", swapped(3, 4)),
            ("no write", replaced(1, "")),
            ("a write to another file", replaced(1, &lines()[1].replace("stream.db-wal", "casewire.db-wal"))),
            ("a write of another event", replaced(1, &lines()[1].replace("000a", "000b"))),
        ] {
            let Verdict { durable, early } = verdict(&changed);
            assert_eq!((durable.len(), early.len()), (0, 1), "{what}");
        }
        // One that had begun before the write was done, or had not ended when the answer left, covers nothing.
        let overlapping = |began: usize, ended: usize| {
            let mut changed = lines();
            changed[3] = String::new();
            changed.insert(ended, "2 <... fdatasync resumed>) = 0".to_owned());
            changed.insert(began, "2 fdatasync(7</data/stream.db-wal> <unfinished ...>".to_owned());
            // The write is another thread's here.
            changed.iter_mut().for_each(|line| *line = line.replace("2 pwrite64", "5 pwrite64"));
            verdict(&changed)
        };
        assert_eq!(overlapping(2, 4).durable.len(), 1);
        assert_eq!(overlapping(1, 4).early.len(), 1);
        assert_eq!(overlapping(2, 5).early.len(), 1);
    }

    #[test]
    fn what_was_not_answered_well_promised_nothing() {
        let mut lines = lines();
        lines[4] = lines[4].replace("200 OK", "503 Service Unavailable");
        assert_eq!(verdict(&lines), Verdict::default());
    }
}
