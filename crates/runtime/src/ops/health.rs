//! Readiness and liveness: what the parts of a process say of themselves.
//!
//! Readiness asks whether traffic should come here: all latches set, all checks passed, not draining. Liveness asks
//! whether a restart would help: every critical task gave a sign of life within a minute. It looks at nothing
//! outside the process, since a restart mends none of that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// A task that gave no sign of life for this long hangs. Four times the longest pause a healthy one makes.
pub const STALE_AFTER: Duration = Duration::from_secs(60);

/// The state of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Why not, in a sentence without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the parts of a process say of themselves. Cheap to clone; every clone is the same.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: AtomicBool,
    draining: AtomicBool,
    checks: Mutex<Vec<Registered>>,
    tasks: Mutex<Vec<(&'static str, Beat)>>,
    /// Beats are counted in milliseconds from here.
    origin: Instant,
}

struct Registered {
    name: &'static str,
    check: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Inner {
            started: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            checks: Mutex::default(),
            tasks: Mutex::default(),
            origin: Instant::now(),
        }))
    }
}

impl Health {
    /// Alive, and not ready before [`Health::started`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Every part has been built and registered its checks: from now on they decide.
    pub fn started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// From now on the process is not ready, whatever the checks say.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Something that must have happened before the process is ready, and may be undone.
    pub fn latch(&self, name: &'static str) -> Latch {
        let latch = Latch(Arc::default());
        let state = Arc::clone(&latch.0);
        self.check(
            name,
            move || if state.load(Ordering::Acquire) { Ok(()) } else { Err("not yet".to_owned()) },
        );
        latch
    }

    /// Something that is looked at whenever readiness is asked for: keep it quick, and its reason free of secrets.
    pub fn check(&self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        lock(&self.0.checks).push(Registered { name, check: Box::new(check) });
    }

    /// A critical task, alive from now on as long as it beats within [`STALE_AFTER`].
    pub fn task(&self, name: &'static str) -> Beat {
        let beat = Beat { origin: self.0.origin, at: Arc::default() };
        beat.now();
        lock(&self.0.tasks).push((name, beat.clone()));
        beat
    }

    /// Every check of readiness. The process is ready when all are well.
    pub fn readiness(&self) -> Vec<Check> {
        let state =
            |name, ok: bool, reason: &str| Check { name, ok, reason: (!ok).then(|| reason.to_owned()) };
        let started = self.0.started.load(Ordering::Acquire);
        let draining = self.0.draining.load(Ordering::Acquire);
        let mut all = vec![
            state("started", started, "the process is starting"),
            state("not draining", !draining, "the process is shutting down"),
        ];
        all.extend(lock(&self.0.checks).iter().map(|registered| {
            let reason = (registered.check)().err();
            Check { name: registered.name, ok: reason.is_none(), reason }
        }));
        all
    }

    /// Every check of liveness. The process is alive when all are well.
    pub fn liveness(&self) -> Vec<Check> {
        self.alive_at(Instant::now())
    }

    /// [`Health::liveness`] at a moment.
    pub(crate) fn alive_at(&self, now: Instant) -> Vec<Check> {
        let check = |(name, beat): &(&'static str, Beat)| {
            let silent = now.saturating_duration_since(beat.last());
            let reason =
                (silent > STALE_AFTER).then(|| format!("no sign of life for {} s", silent.as_secs()));
            Check { name, ok: reason.is_none(), reason }
        };
        lock(&self.0.tasks).iter().map(check).collect()
    }

    /// When each critical task last gave a sign of life, in seconds since 1970; of several tasks of one name, the
    /// one that has been silent longest.
    pub(crate) fn last_beats(&self) -> BTreeMap<&'static str, f64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut last = BTreeMap::new();
        for (name, beat) in lock(&self.0.tasks).iter() {
            let at = now - beat.last().elapsed().as_secs_f64();
            last.entry(*name).and_modify(|oldest: &mut f64| *oldest = oldest.min(at)).or_insert(at);
        }
        last
    }
}

/// One condition of readiness, set by whoever knows.
#[derive(Clone, Debug)]
pub struct Latch(Arc<AtomicBool>);

impl Latch {
    /// Whether the condition holds from now on.
    pub fn set(&self, holds: bool) {
        self.0.store(holds, Ordering::Release);
    }
}

/// The sign of life of a critical task.
#[derive(Clone, Debug)]
pub struct Beat {
    origin: Instant,
    at: Arc<AtomicU64>,
}

impl Beat {
    /// Gives a sign of life. Once every few seconds is enough, also while there is nothing to do.
    pub fn now(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.at.store(millis, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.origin + Duration::from_millis(self.at.load(Ordering::Relaxed))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept is whole after every statement, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
