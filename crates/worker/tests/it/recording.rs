//! What came of sends is written, whatever is in the way of one of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use casewire_domain::MessageId;
use casewire_domain::command::Command;
use casewire_simulator::{Fault, Rule};
use casewire_store::Error;
use casewire_testkit::eventually;

use crate::bench::{Bench, Plan, SOON};
use crate::double::{Double, Fate};
use crate::words::{person, text};

/// A database in which the row of the first text that is sent is locked, as long as it is said to be.
fn with_a_locked_row(bench: &Bench, locked: Arc<AtomicBool>) -> Double {
    let row = OnceLock::<MessageId>::new();
    Double::new(bench.store.clone(), move |commands| {
        let sent = commands.iter().filter_map(|command| match command {
            Command::Attempted { message_id, .. } => Some(*message_id),
            _ => None,
        });
        let in_the_way = sent.into_iter().any(|id| *row.get_or_init(|| id) == id);
        match in_the_way && locked.load(Ordering::Relaxed) {
            true => Fate::Fails(Error::Interrupted),
            false => Fate::Through,
        }
    })
}

/// Waits until so many texts were accepted, and the outcomes of all but so many are written.
async fn written(bench: &Bench, accepted: usize, but: i64) -> Result<()> {
    eventually("outcomes are written", SOON, || async {
        let depth = bench.store.outbox_depth().await.unwrap_or_default();
        bench.accepted().len() == accepted && depth.pending.messages == 0 && depth.sending.messages == but
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_whose_row_is_locked_holds_up_no_other() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    // A callback would settle what the recorder cannot.
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    let locked = Arc::new(AtomicBool::new(true));
    let mut deps = bench.deps()?;
    deps.database = Arc::new(with_a_locked_row(&bench, locked.clone()));
    let _worker = bench.run(deps);
    let texts: Vec<_> = (0..24).map(|i| text("main", &person(i), "hello")).collect();
    bench.publish(&texts[..12]).await?;
    written(&bench, 12, 1).await?;
    bench.publish(&texts[12..]).await?;
    written(&bench, 24, 1).await?;
    locked.store(false, Ordering::Relaxed);
    written(&bench, 24, 0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_cannot_be_written_at_once_is_tried_again() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    let is_outcome = |command: &Command| matches!(command, Command::Attempted { .. });
    let mut deps = bench.deps()?;
    deps.database = Arc::new(Double::stumbling(bench.store.clone(), 4, is_outcome));
    let _worker = bench.run(deps);
    bench.publish(&[text("main", &person(0), "hello")]).await?;
    written(&bench, 1, 0).await
}
