//! I10: what a process holds on to. Memory, open files and threads, from `/proc`.

use std::time::Duration;

use crate::invariants::Broken;
use crate::kit::Role;
use crate::rows::{Outcome, round};
use crate::stage::Stage;

/// Files beyond the baseline's: a pool of database connections that has grown (16) may stay grown.
const POOL: usize = 16;
/// Where there is no such pool: a connection that is just being closed, one that is just being made.
const FILES: usize = 2;
/// Threads beyond the baseline's: those of a blocking pool go after 10 s idle.
const THREADS: usize = 2;
/// Memory beyond the baseline's that an allocator keeps of a peak, in bytes: of what was under way at once, however many
/// texts there were: 39 MiB where a thousand webhooks waited at once for a stream that did not answer (row 6, release).
const PEAK: usize = 48 << 20;
/// And for each text of the row: less than the shortest thing that could be remembered of one, its SID of 34 bytes.
const A_TEXT: usize = 32;
/// Idle connections are closed after `server.keep_alive` (15 s) and threads after 10 s.
const REST: Duration = Duration::from_secs(30);

/// What one process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    pub(crate) files: usize,
    pub(crate) threads: usize,
    /// Bytes.
    pub(crate) memory: usize,
}

impl Vitals {
    fn of(role: &Role) -> Option<Self> {
        let process = format!("/proc/{}", role.process().pid());
        let status = std::fs::read_to_string(format!("{process}/status")).ok()?;
        let of = |name: &str| -> Option<usize> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let files = std::fs::read_dir(format!("{process}/fd")).ok()?.count();
        Some(Self { files, threads: of("Threads:")?, memory: of("VmRSS:")? << 10 })
    }

    /// Whether a role holds no more after so many texts than at its baseline: a tenth, and what may stay beyond it.
    pub(crate) fn is_at_rest(self, role: &str, baseline: Self, texts: usize) -> bool {
        let within = |now: usize, then: usize, slack: usize| now <= then + then / 10 + slack;
        within(self.files, baseline.files, if role == "worker" { POOL } else { FILES })
            && within(self.threads, baseline.threads, THREADS)
            && within(self.memory, baseline.memory, PEAK + A_TEXT * texts)
    }
}

impl Stage {
    /// What each process holds now.
    pub(crate) fn vitals(&self) -> Vec<Option<Vitals>> {
        self.roles().map(Vitals::of).collect()
    }

    /// Waits until every process is back at its baseline; what it holds more.
    pub(crate) async fn rest(&self, baseline: &[Option<Vitals>], outcome: &mut Outcome) {
        let texts = self.books.sizes().0;
        let restless = || -> Vec<_> {
            let each = self.roles().zip(self.vitals()).zip(baseline);
            let grown = each.filter(|((role, now), then)| {
                !matches!((now, then), (Some(now), Some(then)) if now.is_at_rest(role.name, *then, texts))
            });
            grown.map(|((role, now), then)| format!("{}: {then:?} became {now:?}", role.name)).collect()
        };
        let rest = async || restless().is_empty();
        if casewire_testkit::eventually("every process is at rest", REST, rest).await.is_err() {
            let grown = restless().into_iter().map(|how| Broken { invariant: "I10", how });
            outcome.broken.extend(grown);
        }
        for ((role, now), then) in self.roles().zip(self.vitals()).zip(baseline) {
            let (Some(now), Some(then)) = (now, then) else { continue };
            let (name, grown) = (format!("grown_mib_{}", role.name), now.memory.saturating_sub(then.memory));
            let grown = round(grown as f64 / f64::from(1 << 20));
            let most = outcome.figures.get(&name).and_then(serde_json::Value::as_f64).unwrap_or_default();
            outcome.figure(&name, grown.max(most));
        }
    }
}
