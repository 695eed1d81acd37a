//! Many texts at once, without a task for each.

use std::time::Instant;

use casewire_simulator::{Fault, Rule};
use futures_util::{StreamExt, stream};

use crate::receiver::{Receiver, tell};
use crate::stand::{LINE, PATIENCE, Stand, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_texts_and_their_callbacks_all_arrive() {
    const TEXTS: usize = 5_000;
    let receiver = Receiver::start(|_, _| tell(204));
    let stand = Stand::start(quick());
    stand.ready().await;
    stand.faults(vec![Rule::sometimes(0.2, Fault::DuplicateCallbacks { copies: 1 })]);
    let started = Instant::now();
    stream::iter(0..TEXTS)
        .for_each_concurrent(64, |n| {
            let (stand, callback) = (&stand, receiver.url(&format!("/status/{n}.1")));
            async move {
                let to = format!("+1206555{:04}", n % 100);
                stand
                    .send(&[("From", LINE), ("To", &to), ("Body", "x"), ("StatusCallback", &callback)])
                    .await;
            }
        })
        .await;
    assert!(stand.simulator.wait_until_idle(3 * PATIENCE).await, "{:?}", stand.simulator.pending());
    let ledger = stand.simulator.ledger();
    let duplicates = stand.simulator.faults()[0].happened as usize;
    assert_eq!(ledger.sends.len(), TEXTS);
    assert_eq!((ledger.callbacks.delivered as usize, ledger.callbacks.failed), (2 * TEXTS + duplicates, 0));
    assert_eq!(receiver.received().len(), 2 * TEXTS + duplicates);
    let inboxes: usize = (0..100).map(|n| stand.inbox(&format!("+1206555{n:04}")).len()).sum();
    assert_eq!(inboxes, TEXTS);
    // Shown by a failing or `--nocapture` run only: how quick it is depends on the machine.
    tracing::info!(elapsed_ms = started.elapsed().as_millis(), "done");
}
