//! I10: what a process holds on to. Memory, open files and threads, from `/proc`.

use std::time::Duration;

use crate::invariants::Broken;
use crate::kit::Role;
use crate::stage::Stage;

/// Files beyond the baseline's: a pool of database connections that has grown (16) may stay grown.
const FILES: usize = 16;
/// Threads beyond the baseline's: those of a blocking pool go after 10 s idle.
const THREADS: usize = 2;
/// Memory beyond the baseline's: what an allocator keeps of a peak. A leak of a kilobyte for each of 10⁵ texts
/// would be more.
const MEMORY: usize = 64 << 20;
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

    /// Whether it is within a tenth of the baseline, and what may stay beyond it.
    fn is_within(self, baseline: Self) -> bool {
        let within = |now: usize, then: usize, slack: usize| now <= then + then / 10 + slack;
        within(self.files, baseline.files, FILES)
            && within(self.threads, baseline.threads, THREADS)
            && within(self.memory, baseline.memory, MEMORY)
    }
}

impl Stage {
    /// What each process holds now.
    pub(crate) fn vitals(&self) -> Vec<Option<Vitals>> {
        self.roles().map(Vitals::of).collect()
    }

    /// Waits until every process is back at its baseline.
    pub(crate) async fn at_rest(&self, baseline: &[Option<Vitals>]) -> Vec<Broken> {
        let back = || {
            let now = self.vitals();
            now.iter()
                .zip(baseline)
                .all(|pair| matches!(pair, (Some(now), Some(then)) if now.is_within(*then)))
        };
        if casewire_testkit::eventually("every process is at rest", REST, async || back()).await.is_ok() {
            return Vec::new();
        }
        let pairs = self.roles().zip(self.vitals()).zip(baseline);
        let grown = pairs.filter(
            |((_, now), then)| !matches!((now, then), (Some(now), Some(then)) if now.is_within(*then)),
        );
        grown
            .map(|((role, now), then)| Broken {
                invariant: "I10",
                how: format!("{}: {then:?} became {now:?}", role.name),
            })
            .collect()
    }
}
