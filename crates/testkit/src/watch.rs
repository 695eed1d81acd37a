//! No test hangs for ever: one that lives too long is named, and ends the run.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Ten times what the longest test takes on a busy machine, and a sixth of what a whole run may.
const LIFETIME: Duration = Duration::from_mins(15);
/// For a test that somebody asks to go on for longer, in minutes.
const MINUTES: &str = "CASEWIRE_TEST_MINUTES";
const LOOK: Duration = Duration::from_secs(1);
/// As the test harness ends when a test failed.
const FAILED: i32 = 101;

static WATCHED: Mutex<BTreeMap<u64, Watched>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Let go when the test's thread ends, after the test's runtime, which may be what hangs.
    static WATCH: OnceCell<Option<Watch>> = const { OnceCell::new() };
}

#[derive(Debug)]
struct Watched {
    test: String,
    since: Instant,
}

#[derive(Debug)]
struct Watch(u64);

/// Watches the test of this thread from now on. The harness names its thread after it; on any other thread this does
/// nothing: there is no test, as in a program that lives until somebody ends it.
pub(crate) fn this_test() {
    WATCH.with(|watch| {
        watch.get_or_init(Watch::start);
    });
}

impl Watch {
    fn start() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static WATCHMAN: Once = Once::new();
        let thread = thread::current();
        let test = thread.name().filter(|name| name.contains("::"))?.to_owned();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        watched().insert(number, Watched { test, since: Instant::now() });
        WATCHMAN.call_once(|| drop(thread::spawn(watch)));
        Some(Self(number))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        watched().remove(&self.0);
    }
}

fn watched() -> MutexGuard<'static, BTreeMap<u64, Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tests that have lived longer than `lifetime`.
fn overdue(lifetime: Duration) -> BTreeSet<String> {
    let watched = watched();
    let overdue = watched.values().filter(|watched| watched.since.elapsed() > lifetime);
    overdue.map(|watched| watched.test.clone()).collect()
}

/// How long a test may live; what cannot be read as minutes says nothing.
fn lifetime(minutes: Option<&str>) -> Duration {
    minutes.and_then(|minutes| minutes.parse().ok()).map_or(LIFETIME, Duration::from_mins)
}

fn watch() {
    let lifetime = lifetime(std::env::var(MINUTES).ok().as_deref());
    loop {
        thread::sleep(LOOK);
        let overdue = overdue(lifetime);
        if !overdue.is_empty() {
            // Past the harness, which would keep it for the end of a test that does not end.
            let said = format!("\nthese tests still run after {lifetime:?}, they hang: {overdue:?}\n");
            let _ = std::io::stderr().write_all(said.as_bytes());
            std::process::exit(FAILED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread_called(name: &str, what: impl FnOnce() + Send + 'static) {
        thread::Builder::new().name(name.into()).spawn(what).unwrap().join().unwrap();
    }

    #[test]
    fn a_test_that_lives_too_long_is_named_until_its_thread_ends() {
        let name = "some::test_of_a_test";
        on_a_thread_called(name, || {
            this_test();
            this_test();
            assert!(overdue(Duration::ZERO).contains(name));
            assert!(!overdue(LIFETIME).contains(name));
        });
        assert!(!overdue(Duration::ZERO).contains(name));
    }

    #[test]
    fn who_asks_for_more_time_has_it() {
        assert_eq!(lifetime(Some("120")), Duration::from_mins(120));
        assert_eq!((lifetime(None), lifetime(Some("long"))), (LIFETIME, LIFETIME));
    }

    #[test]
    fn what_is_no_test_may_live_for_ever() {
        on_a_thread_called("main", || {
            this_test();
            assert!(!overdue(Duration::ZERO).contains("main"));
        });
    }
}
