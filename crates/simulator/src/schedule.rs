//! What is to be done later: one ordered queue that one task empties, instead of a task for every message.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering as Memory};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

struct Due<T> {
    at: Instant,
    // Keeps what is due at the same time in the order it was pushed.
    turn: u64,
    job: T,
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<T> Eq for Due<T> {}
impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Due<T> {
    // Reversed: the heap gives its greatest, and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.turn).cmp(&(self.at, self.turn))
    }
}

struct Waiting<T> {
    heap: BinaryHeap<Due<T>>,
    turn: u64,
}

/// Jobs by the time they are due. Any task may push; one task pops.
pub(crate) struct Schedule<T> {
    waiting: Mutex<Waiting<T>>,
    earlier: Notify,
    unfinished: AtomicUsize,
}

impl<T> Schedule<T> {
    pub(crate) fn new() -> Self {
        let waiting = Mutex::new(Waiting { heap: BinaryHeap::new(), turn: 0 });
        Self { waiting, earlier: Notify::new(), unfinished: AtomicUsize::new(0) }
    }

    pub(crate) fn push(&self, at: Instant, job: T) {
        self.unfinished.fetch_add(1, Memory::AcqRel);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_earliest = waiting.heap.peek().is_none_or(|first| at < first.at);
        waiting.turn += 1;
        let turn = waiting.turn;
        waiting.heap.push(Due { at, turn, job });
        drop(waiting);
        if is_earliest {
            self.earlier.notify_one();
        }
    }

    /// Waits for the next job to be due. Call [`Schedule::finished`] once it is done with.
    pub(crate) async fn pop(&self) -> T {
        loop {
            // A long run of due jobs must not keep the other tasks of this thread waiting.
            tokio::task::coop::consume_budget().await;
            match self.take_due() {
                Ok(job) => return job,
                Err(Some(at)) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.earlier.notified() => {}
                },
                Err(None) => self.earlier.notified().await,
            }
        }
    }

    fn take_due(&self) -> Result<T, Option<Instant>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.heap.peek() {
            None => Err(None),
            Some(first) if first.at > Instant::now() => Err(Some(first.at)),
            Some(_) => waiting.heap.pop().map(|due| due.job).ok_or(None),
        }
    }

    /// Starts what is due in tasks of their own, never more than `at_once` at a time. Those under way when
    /// `shutdown` comes are dropped; it does not end by itself.
    pub(crate) async fn work<F>(
        self: Arc<Self>,
        at_once: usize,
        shutdown: &CancellationToken,
        job: impl Fn(T) -> F,
    ) where
        T: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let permits = Arc::new(Semaphore::new(at_once.max(1)));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let task = job(self.pop().await);
            let (schedule, shutdown) = (Arc::clone(&self), shutdown.clone());
            tokio::spawn(async move {
                shutdown.run_until_cancelled(task).await;
                schedule.finished();
                drop(permit);
            });
        }
    }

    /// Says that a job that was popped is done with.
    pub(crate) fn finished(&self) {
        self.unfinished.fetch_sub(1, Memory::AcqRel);
    }

    /// Jobs that wait, or were popped and are not finished.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.load(Memory::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn jobs_come_when_due_and_in_order() {
        let schedule = Schedule::new();
        let start = Instant::now();
        let in_ms = |ms| start + Duration::from_millis(ms);
        schedule.push(in_ms(50), "late");
        schedule.push(in_ms(10), "early");
        schedule.push(in_ms(50), "late too");
        assert_eq!(schedule.pop().await, "early");
        assert!(start.elapsed() >= Duration::from_millis(10));
        assert_eq!([schedule.pop().await, schedule.pop().await], ["late", "late too"]);
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert_eq!(schedule.unfinished(), 3);
        schedule.finished();
        assert_eq!(schedule.unfinished(), 2);
    }

    #[tokio::test]
    async fn an_earlier_job_wakes_who_waits_for_a_later_one() {
        let schedule = Arc::new(Schedule::new());
        schedule.push(Instant::now() + Duration::from_secs(600), "late");
        let waiting = tokio::spawn({
            let schedule = Arc::clone(&schedule);
            async move { schedule.pop().await }
        });
        tokio::task::yield_now().await;
        schedule.push(Instant::now(), "now");
        let popped = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert_eq!(popped.unwrap().unwrap(), "now");
    }

    #[tokio::test]
    async fn never_more_jobs_are_under_way_than_allowed() {
        let schedule = Arc::new(Schedule::new());
        let (gate, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..10 {
            schedule.push(Instant::now(), ());
        }
        let shutdown = CancellationToken::new();
        let work = Arc::clone(&schedule).work(3, &shutdown, |()| {
            let (gate, running) = (Arc::clone(&gate), Arc::clone(&running));
            async move {
                assert!(running.fetch_add(1, Memory::SeqCst) < 3);
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Memory::SeqCst);
            }
        });
        let watch = async {
            while running.load(Memory::SeqCst) < 3 {
                tokio::task::yield_now().await;
            }
            gate.add_permits(10);
            while schedule.unfinished() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = work => {}
            () = watch => {}
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("the jobs are not done"),
        }
        assert_eq!(schedule.unfinished(), 0);
    }
}
