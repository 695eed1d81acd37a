//! A database that is away: texts wait, none is lost, none is held against anybody.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use casewire_domain::DeliveryStatus::{self, Delivered};
use casewire_domain::outbox::OutboxState;
use casewire_store::Config as Database;
use casewire_testkit::{Postgres, eventually};
use sqlx::Executor;

use crate::bench::{Bench, Plan, Running, SOON};
use crate::words::{person, text};

const TEXTS: usize = 60;

async fn publish(bench: &Bench) -> Result<()> {
    let texts: Vec<_> = (0..TEXTS).map(|i| text("main", &person(i), "hello")).collect();
    bench.publish(&texts).await
}

async fn holds(worker: &Running) -> Result<()> {
    let retries = "casewire_messages_processed_total{consumer=\"work\",disposition=\"retry\"}";
    eventually("a batch is held", SOON, || async { worker.metric(retries).is_ok_and(|tries| tries > 0.0) })
        .await
}

/// Everything has come to its end, once.
async fn all_is_well(bench: &Bench) -> Result<()> {
    eventually("all are answered", SOON, || async { bench.accepted().len() >= TEXTS }).await?;
    for i in 0..TEXTS {
        bench.stands(&person(i), &[(Delivered, None)]).await.with_context(|| person(i))?;
    }
    bench.worked_off().await?;
    assert_eq!(bench.accepted().len(), TEXTS, "one answer each");
    assert_eq!(bench.store.dead_letters(10).await?.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_locked_texts_wait() -> Result<()> {
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
    publish(&bench).await?;
    let worker = bench.run(deps);
    holds(&worker).await?;
    intruder.execute("rollback").await?;
    all_is_well(&bench).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_table_is_away_texts_wait_and_none_becomes_a_dead_letter() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let mut intruder = bench.intruder().await?;
    intruder.execute("alter table message rename to elsewhere").await?;
    publish(&bench).await?;
    let worker = bench.worker()?;
    holds(&worker).await?;
    intruder.execute("alter table elsewhere rename to message").await?;
    all_is_well(&bench).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_even_be_kept_is_not_let_go() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let mut intruder = bench.intruder().await?;
    intruder
        .execute("create trigger never before insert on event begin select raise(abort, 'no'); end")
        .await?;
    publish(&bench).await?;
    let worker = bench.worker()?;
    holds(&worker).await?;
    intruder.execute("drop trigger never").await?;
    all_is_well(&bench).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_server_that_is_killed_again_and_again_costs_no_text_and_doubles_none() -> Result<()> {
    let server = Postgres::start().await?;
    let mut plan = Plan::default();
    let mut database = Database::new(server.database().await?);
    database.acquire_timeout = Duration::from_millis(500);
    plan.database = Some(database);
    plan.sender.lease = Duration::from_secs(3);
    let (bench, worker) = Bench::with(plan).await?;
    server.kill()?;
    publish(&bench).await?;
    holds(&worker).await?;
    for taken in [0, TEXTS / 10, TEXTS / 3] {
        server.restart().await?;
        eventually("it goes on", SOON, || async { bench.accepted().len() >= taken }).await?;
        server.kill()?;
    }
    server.restart().await?;
    bench.worked_off().await?;
    for i in 0..TEXTS {
        settled(&bench, &person(i)).await.with_context(|| person(i))?;
    }
    assert_eq!(bench.store.dead_letters(10).await?.len(), 0);
    Ok(())
}

/// One case with one answer, which was delivered, or is held since the server was killed when it was on its way.
async fn settled(bench: &Bench, person: &str) -> Result<()> {
    let done = |(status, outbox): &(DeliveryStatus, Option<OutboxState>)| {
        matches!((status, outbox), (Delivered, None) | (_, Some(OutboxState::Uncertain)))
    };
    let standing = || async { bench.standing(person).await.unwrap_or_default() };
    eventually("it is sent or held", SOON, || async {
        let standing = standing().await;
        standing.len() == 1 && standing.iter().all(done)
    })
    .await?;
    let sent = bench.accepted_for(person).len();
    let delivered = standing().await[0].0 == Delivered;
    assert!(if delivered { sent == 1 } else { sent <= 1 }, "{sent} sent");
    assert_eq!(bench.case_soon(person).await?.messages.len(), 2, "a text and its answer");
    Ok(())
}
