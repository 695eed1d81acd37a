//! Whether the database answers, for a role that can do nothing without it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use casewire_runtime::ops::Health;
use casewire_runtime::shutdown::Shutdown;
use casewire_store::Store;
use tokio::time::{sleep, timeout};

/// How often it is asked. One row a second costs it next to nothing.
const EVERY: Duration = Duration::from_secs(1);
/// How long it may go without an answer: long enough for a busy moment, short enough that whoever asks a desk next is
/// sent to one that has one. Also how long one question waits: a frozen server answers it when it goes on.
const SLACK: Duration = Duration::from_secs(5);

/// Asks the database until the end; `database` is a condition of readiness from now on.
pub fn watch(store: &Store, health: &Health, shutdown: &Shutdown) {
    let last = LastAnswer::now();
    let seen = last.clone();
    health.check("database", move || seen.is_fresh(Instant::now()));
    let store = store.clone();
    let token = shutdown.token();
    shutdown.spawn(async move {
        let ask = || async { store.directory_version().await.is_ok() };
        // Ended by the end of the process, and by nothing else.
        let _ = token.run_until_cancelled(follow(last, ask)).await;
    });
}

async fn follow<F: Future<Output = bool>>(last: LastAnswer, ask: impl Fn() -> F) {
    loop {
        if timeout(SLACK, ask()).await.unwrap_or(false) {
            last.set();
        }
        sleep(EVERY).await;
    }
}

/// When the database last answered; in the beginning, when the process began to ask.
#[derive(Clone)]
struct LastAnswer(Arc<Mutex<Instant>>);

impl LastAnswer {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn set(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_fresh(&self, now: Instant) -> Result<(), String> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = now.saturating_duration_since(last);
        if silent <= SLACK { Ok(()) } else { Err(format!("no answer for {} s", silent.as_secs())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_may_be_silent_for_five_seconds_and_is_welcome_back() {
        let last = LastAnswer::now();
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(last.is_fresh(after(4)), Ok(()));
        let late = after(7);
        assert!(last.is_fresh(late).unwrap_err().starts_with("no answer for "));
        *last.0.lock().unwrap() = late;
        assert_eq!(last.is_fresh(late), Ok(()));
    }

    #[tokio::test]
    async fn only_an_answer_counts() {
        let old = Instant::now();
        let heard = async |answers: bool| {
            let last = LastAnswer(Arc::new(Mutex::new(old)));
            let following = follow(last.clone(), || std::future::ready(answers));
            // The first question is asked at once; the second would take a second.
            assert!(timeout(EVERY / 4, following).await.is_err());
            *last.0.lock().unwrap() > old
        };
        assert!(heard(true).await);
        assert!(!heard(false).await);
    }
}
