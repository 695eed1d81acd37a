//! The end of a worker: what is in hand is finished, what cannot be is given back.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;
use casewire_domain::DeliveryStatus::{Delivered, Queued};
use casewire_domain::Media;
use casewire_domain::outbox::OutboxState::Sending;
use casewire_runtime::shutdown::Ended;
use casewire_simulator::{Fault, Rule};
use casewire_testkit::eventually;
use casewire_twilio::rest::{Client, Credentials, List, NextPage, Page, ReadError, Send, SendOutcome};
use casewire_worker::{Deps, Provider};
use sqlx::Executor;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::bench::{Bench, Plan, SOON};
use crate::words::{HEATHER, IAN, person, text, texted};

/// A bench whose worker waits for answers for as long as the test likes.
fn patient() -> Plan {
    let mut plan = Plan::default();
    plan.sender.request_timeout = SOON;
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_under_way_is_finished_and_its_outcome_written_before_the_end() -> Result<()> {
    let (bench, worker) = Bench::with(patient()).await?;
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    bench.gate.close();
    bench.text(HEATHER, "my heater is broken").await?;
    eventually("the provider has it", SOON, || async { bench.gate.held() == 1 }).await?;
    worker.shutdown.request();
    bench.store.handle_one(texted("main", IAN, "mine too")).await?;
    let gate = bench.gate.clone();
    let opener = async move {
        // The end waits for the answer; nothing tells that it does but that it takes its time.
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.open();
    };
    let begun = Instant::now();
    let (ended, ()) = tokio::join!(worker.end(SOON), opener);
    assert_eq!(ended?, Ended::Requested);
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(bench.standing(HEATHER).await?, [(Queued, None)], "accepted");
    assert_eq!(bench.accepted_for(IAN), [""; 0], "nothing new is begun");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_waits_for_the_database_even_at_the_end() -> Result<()> {
    let (bench, worker) = Bench::with(patient()).await?;
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    bench.gate.close();
    bench.text(HEATHER, "my heater is broken").await?;
    eventually("the provider has it", SOON, || async { bench.gate.held() == 1 }).await?;
    let mut intruder = bench.intruder().await?;
    intruder.execute("begin immediate").await?;
    worker.shutdown.request();
    bench.gate.open();
    let release = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        intruder.execute("rollback").await
    };
    let (ended, released) = tokio::join!(worker.end(SOON), release);
    released?;
    assert_eq!(ended?, Ended::Requested);
    assert_eq!(bench.standing(HEATHER).await?, [(Queued, None)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_cannot_be_written_by_the_end_leaves_its_text_held() -> Result<()> {
    let mut plan = patient();
    plan.sender.lease = Duration::from_secs(1);
    let (bench, worker) = Bench::with(plan).await?;
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    bench.gate.close();
    bench.text(HEATHER, "my heater is broken").await?;
    eventually("the provider has it", SOON, || async { bench.gate.held() == 1 }).await?;
    worker.shutdown.request();
    bench.stands(HEATHER, &[(Queued, Some(Sending))]).await?;
    let mut intruder = bench.intruder().await?;
    intruder.execute("begin immediate").await?;
    bench.gate.open();
    assert_eq!(worker.end(Duration::from_millis(500)).await?, Ended::Overdue);
    intruder.execute("rollback").await?;
    drop(worker);
    // Cut off, the outcome may have slipped in with the database's return; if not, the text is held.
    let _next = bench.worker()?;
    eventually("it is settled or held", SOON, || async {
        bench.standing(HEATHER).await.is_ok_and(|all| all.iter().all(|(_, outbox)| *outbox != Some(Sending)))
    })
    .await?;
    assert_eq!(bench.accepted_for(HEATHER).len(), 1, "and never sent twice");
    Ok(())
}

/// The provider, whose lists never come.
struct Listless {
    provider: Client,
    /// Told when one was asked for.
    asked: Arc<Notify>,
}

#[async_trait]
impl Provider for Listless {
    async fn send(&self, credentials: &Credentials, text: &Send<'_>) -> SendOutcome {
        self.provider.send(credentials, text).await
    }

    async fn list(&self, _: &Credentials, _: &List<'_>) -> Result<Page, ReadError> {
        self.asked.notify_one();
        pending().await
    }

    async fn list_next(&self, _: &Credentials, _: &NextPage) -> Result<Page, ReadError> {
        pending().await
    }

    async fn media(&self, _: &Credentials, _: &str) -> Result<Vec<Media>, ReadError> {
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_for_no_list_and_another_worker_reads_it() -> Result<()> {
    let mut plan = Plan::default();
    plan.sender.settle_first = Duration::from_millis(1_100);
    plan.sender.settle_poll = Duration::from_millis(50);
    plan.sender.settle_lease = Duration::from_secs(1);
    let bench = Bench::idle(plan).await?;
    bench.faults(vec![Rule::next(1, Fault::ErrorAfterAccepting), Rule::always(Fault::DropCallbacks)])?;
    let asked = Arc::<Notify>::default();
    let provider = Listless { provider: bench.provider_at(&bench.provider_url)?, asked: asked.clone() };
    let worker = bench.run(Deps { provider: Arc::new(provider), ..bench.deps()? });
    bench.publish(&[text("main", HEATHER, "my heater is broken")]).await?;
    timeout(SOON, asked.notified()).await?;
    assert_eq!(worker.end(SOON / 4).await?, Ended::Requested);
    let _next = bench.worker()?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert_eq!(bench.accepted_for(HEATHER).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_cannot_be_handled_by_the_end_is_given_back_at_once() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let mut deps = bench.deps()?;
    let store = bench
        .store_with(|database| {
            database.acquire_timeout = Duration::from_millis(300);
            database.transaction_timeout = Duration::from_millis(300);
        })
        .await?;
    deps.database = Arc::new(store);
    let mut intruder = bench.intruder().await?;
    intruder.execute("begin immediate").await?;
    let texts: Vec<_> = (0..20).map(|i| text("main", &person(i), "hello")).collect();
    bench.publish(&texts).await?;
    let worker = bench.run(deps);
    let retries = "casewire_messages_processed_total{consumer=\"work\",disposition=\"retry\"}";
    eventually("it tries", SOON, || async { worker.metric(retries).is_ok_and(|retries| retries > 0.0) })
        .await?;
    assert_eq!(worker.end(SOON).await?, Ended::Requested);
    intruder.execute("rollback").await?;
    let begun = Instant::now();
    let _next = bench.worker()?;
    eventually("all are answered", SOON, || async { bench.accepted().len() == 20 }).await?;
    assert!(begun.elapsed() < Duration::from_secs(15), "well before the stream would give them back");
    for i in 0..20 {
        bench.stands(&person(i), &[(Delivered, None)]).await?;
    }
    Ok(())
}
