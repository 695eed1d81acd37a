//! Events that cannot be handled: kept with their reason, and holding nobody up.

use anyhow::{Context, Result};
use casewire_domain::{DeliveryStatus, EventKind};
use casewire_store::{Config as Database, DeadLetter};
use casewire_testkit::{Postgres, eventually, eventually_some};
use sqlx::Executor;

use crate::bench::{Bench, Plan, SOON};
use crate::words::{HEATHER, person, text};

const POISON: &str = "poison";

/// A hundred texts in one batch, one of which the database refuses.
async fn a_hundred_with_poison(bench: &Bench) -> Result<()> {
    let body = |i| if i == 57 { POISON } else { "hello" };
    let texts: Vec<_> = (0..100).map(|i| text("main", &person(i), body(i))).collect();
    bench.publish(&texts).await?;
    let worker = bench.worker()?;
    bench.worked_off().await?;
    let letters = bench.store.dead_letters(10).await?;
    let [DeadLetter { kind: EventKind::Message, reason, raw, .. }] = letters.as_slice() else {
        anyhow::bail!("{letters:?}")
    };
    assert!(reason.starts_with("the database refused") && !raw.is_empty(), "{reason}");
    assert!(!reason.contains(POISON));
    eventually("the others are answered", SOON, || async { bench.accepted().len() == 99 }).await?;
    assert!(bench.case_of(&person(57)).await?.is_none());
    assert!(bench.case_of(&person(99)).await?.is_some());
    assert_eq!(worker.metric("casewire_messages_parked_total{reason=\"unhandled\"}")?, 1.0);
    let placed = "casewire_messages_processed_total{consumer=\"work\",disposition=\"done\"}";
    assert!(worker.metric(placed)? >= 99.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_poisonous_text_in_a_batch_is_set_aside_and_the_rest_go_through() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let picky = "create trigger picky before insert on message when new.body = 'poison' \
                 begin select raise(abort, 'no'); end";
    bench.intruder().await?.execute(picky).await?;
    a_hundred_with_poison(&bench).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_poisonous_text_is_set_aside_on_postgres_too() -> Result<()> {
    let server = Postgres::shared().await?;
    let url = server.database().await?;
    let name = url.rsplit('/').next().context("a database's name")?.to_owned();
    let bench = Bench::idle(Plan { database: Some(Database::new(url)), ..Plan::default() }).await?;
    server.sql(&name, "alter table message add constraint picky check (body <> 'poison')").await?;
    a_hundred_with_poison(&bench).await?;
    server.sql(&name, "alter table message drop constraint picky").await?;
    let _worker = bench.worker()?;
    replayed(&bench, "it is in case ").await
}

/// Asks for the one dead letter to be handled again, and waits for what comes of it.
async fn replayed(bench: &Bench, outcome: &str) -> Result<()> {
    let letters = bench.store.dead_letters(10).await?;
    let id = bench.store.request_replay(&letters[0].dedupe_id).await?;
    let told = eventually_some("the replay is done", SOON, || async {
        bench.store.request_outcome(id).await.ok().flatten()
    });
    let told = told.await?;
    assert!(told.starts_with(outcome), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_for_a_line_nobody_knows_is_replayed_once_the_line_is_added() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    bench.publish(&[text("later", HEATHER, "my heater is broken")]).await?;
    let one = || async { bench.store.dead_letters(10).await.is_ok_and(|letters| letters.len() == 1) };
    eventually("it is a dead letter", SOON, one).await?;
    let parked = "casewire_parked_messages";
    eventually("it is counted", SOON, || async { worker.metric(parked).is_ok_and(|parked| parked == 1.0) })
        .await?;
    replayed(&bench, "it is a dead letter still: ").await?;
    bench.add_line("later", "+15550004444", 100).await?;
    replayed(&bench, "it is in case ").await?;
    assert_eq!(bench.store.dead_letters(10).await?.len(), 0);
    bench.stands(HEATHER, &[(DeliveryStatus::Delivered, None)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_makes_no_sense_is_kept_and_holds_nobody_up() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    let mut nonsense = text("main", HEATHER, "hello");
    nonsense.body = b"Body=%ff".to_vec();
    bench.publish(&[nonsense.clone(), text("main", HEATHER, "my heater is broken")]).await?;
    bench.stands(HEATHER, &[(DeliveryStatus::Delivered, None)]).await?;
    let letters = bench.store.dead_letters(10).await?;
    assert_eq!(letters.iter().map(|letter| &letter.dedupe_id).collect::<Vec<_>>(), [&nonsense.dedupe_id]);
    assert_eq!(worker.metric("casewire_messages_parked_total{reason=\"unreadable\"}")?, 1.0);
    Ok(())
}
