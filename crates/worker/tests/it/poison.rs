//! Events that fail whenever they are handled, or end the process: they come to their own end and take nobody along.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use casewire_bus::Stream as _;
use casewire_domain::command::{Command, EventFacts};
use casewire_store::{Config as Database, Error, Store};
use casewire_testkit::{Postgres, eventually};
use sqlx::Executor;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use crate::bench::{Bench, Plan, SOON};
use crate::double::{Double, Fate};
use crate::words::{person, text};

const POISON: &str = "poison";
const MANY: usize = 64;

fn is_poison(command: &Command) -> bool {
    matches!(command, Command::Text(_, text) if text.body.reveal() == POISON)
}

/// A database at which the process dies whenever a text says so; then `died` is told.
fn deadly(store: Store, died: Arc<Notify>) -> Double {
    Double::new(store, move |commands| {
        if !commands.iter().any(is_poison) {
            return Fate::Through;
        }
        died.notify_one();
        Fate::Silence
    })
}

fn is_text(command: &Command) -> bool {
    matches!(command, Command::Text(..))
}

/// A bench whose stream soon gives away what a dead process had in its hands.
fn impatient() -> Plan {
    Plan { ack_wait: Duration::from_millis(600), ..Plan::default() }
}

/// Runs workers, one after the other, until one lives to see the stream worked off. How many died.
async fn until_one_survives(bench: &Bench) -> Result<usize> {
    for deaths in 0..20 {
        let died = Arc::<Notify>::default();
        let mut deps = bench.deps()?;
        deps.database = Arc::new(deadly(bench.store.clone(), died.clone()));
        let worker = bench.run(deps);
        tokio::select! {
            () = died.notified() => {}
            worked_off = bench.worked_off() => return worked_off.map(|()| deaths),
        }
        // Cut off in the middle of everything, as a process that dies.
        worker.end(Duration::ZERO).await?;
    }
    anyhow::bail!("they die and die")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_ends_the_process_ends_as_a_dead_letter_and_nobody_with_it() -> Result<()> {
    let bench = Bench::idle(impatient()).await?;
    let body = |i| if i == 41 { POISON } else { "hello" };
    let texts: Vec<_> = (0..MANY).map(|i| text("main", &person(i), body(i))).collect();
    bench.publish(&texts).await?;
    let deaths = until_one_survives(&bench).await?;
    ensure!((3..=9).contains(&deaths), "{deaths} processes died");
    let letters = bench.store.dead_letters(100).await?;
    let dead: BTreeSet<_> = letters.iter().map(|letter| letter.dedupe_id.clone()).collect();
    ensure!(dead.contains(&texts[41].dedupe_id) && dead.len() <= 2, "{} are dead", dead.len());
    ensure!(letters[0].reason.starts_with("it was delivered 10 times"), "{}", letters[0].reason);
    for (i, text) in texts.iter().enumerate().filter(|(_, text)| !dead.contains(&text.dedupe_id)) {
        let case = bench.case_of(&person(i)).await?;
        ensure!(case.is_some(), "{} is in no case", text.dedupe_id);
    }
    Ok(())
}

/// A dead letter with these words, and a request that it be handled again.
async fn a_replay(bench: &Bench, body: &str) -> Result<Uuid> {
    let event = text("main", &person(0), body);
    let facts = EventFacts {
        dedupe_id: event.dedupe_id.clone(),
        kind: event.kind,
        line: event.line.clone(),
        received_at: event.received_at,
        raw: casewire_bus::encode(&event),
        trace: None,
    };
    bench.store.handle_one(Command::SetAside(facts.into(), "it was delivered too often".to_owned())).await?;
    Ok(bench.store.request_replay(&event.dedupe_id).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_ends_the_process_whenever_it_is_replayed_ends_one_process() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let request = a_replay(&bench, POISON).await?;
    let died = Arc::<Notify>::default();
    let dying = |bench: &Bench| -> Result<_> {
        let mut deps = bench.deps()?;
        deps.database = Arc::new(deadly(bench.store.clone(), died.clone()));
        Ok(bench.run(deps))
    };
    let first = dying(&bench)?;
    timeout(SOON, died.notified()).await?;
    first.end(Duration::ZERO).await?;
    ensure!(bench.store.request_begun(request).await?, "it is not to be had any more");
    // Older requests come first: were it done again, this one would have to wait for ever.
    let next = a_replay(&bench, "hello").await?;
    let _second = dying(&bench)?;
    eventually("the next request is done", SOON, || async {
        bench.store.request_outcome(next).await.is_ok_and(|outcome| outcome.is_some())
    })
    .await?;
    ensure!(bench.store.request_outcome(request).await?.is_none(), "nobody knows what came of it");
    assert_eq!(bench.store.dead_letters(10).await?.len(), 1, "it is kept");
    Ok(())
}

const PICKY: &str = "create trigger picky before insert on message when new.body = 'poison' \
                     begin select raise(abort, 'no'); end";

/// Many texts, every sixteenth of which is poison to a picky database.
async fn publish_some_poison(bench: &Bench) -> Result<()> {
    let body = |i| if i % 16 == 3 { POISON } else { "hello" };
    let texts: Vec<_> = (0..MANY).map(|i| text("main", &person(i), body(i))).collect();
    bench.publish(&texts).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_the_database_refuses_is_tried_five_times() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    bench.intruder().await?.execute(PICKY).await?;
    let worker = bench.worker()?;
    publish_some_poison(&bench).await?;
    bench.worked_off().await?;
    assert_eq!(bench.store.dead_letters(100).await?.len(), MANY / 16);
    let tried = "casewire_messages_processed_total{consumer=\"work\",disposition=\"retry\"}";
    assert_eq!(worker.metric(tried)?, (4 * MANY / 16) as f64, "four times before the fifth and last");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_text_that_is_to_be_tried_again() -> Result<()> {
    let mut plan = Plan::default();
    plan.worker.logic_pause = SOON * 100;
    let bench = Bench::idle(plan).await?;
    bench.intruder().await?.execute(PICKY).await?;
    let _worker = bench.worker()?;
    publish_some_poison(&bench).await?;
    eventually("all others are answered", SOON, || async { bench.accepted().len() == MANY - MANY / 16 })
        .await?;
    eventually("only poison is left", SOON, || async {
        let backlog = bench.stream.backlog().await.unwrap_or_default();
        backlog.iter().map(|shard| shard.messages).sum::<u64>() == MANY as u64 / 16
    })
    .await?;
    assert_eq!(bench.store.dead_letters(10).await?.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_takes_the_database_too_long_is_given_up_in_the_end_and_the_rest_go_through() -> Result<()>
{
    let server = Postgres::shared().await?;
    let url = server.database().await?;
    let name = url.rsplit('/').next().context("a database's name")?.to_owned();
    let mut database = Database::new(url);
    database.statement_timeout = Duration::from_millis(400);
    let bench = Bench::idle(Plan { database: Some(database), ..Plan::default() }).await?;
    let slow = "create function slow() returns trigger language plpgsql as \
                'begin if new.body = ''poison'' then perform pg_sleep(60); end if; return new; end'";
    server.sql(&name, slow).await?;
    let picky = "create trigger slow before insert on message for each row execute function slow()";
    server.sql(&name, picky).await?;
    let texts: Vec<_> =
        (0..8).map(|i| text("main", &person(i), if i == 5 { POISON } else { "hello" })).collect();
    bench.publish(&texts).await?;
    let _worker = bench.worker()?;
    bench.worked_off().await?;
    let letters = bench.store.dead_letters(10).await?;
    assert_eq!(letters.iter().map(|letter| &letter.dedupe_id).collect::<Vec<_>>(), [&texts[5].dedupe_id]);
    ensure!(letters[0].reason.starts_with("a statement took too long"), "{}", letters[0].reason);
    eventually("the others are answered", SOON, || async { bench.accepted().len() == 7 }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_slow_texts_at_the_head_of_a_batch_stall_nobody() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let body = |i| if i < 2 { POISON } else { "hello" };
    let texts: Vec<_> = (0..MANY).map(|i| text("main", &person(i), body(i))).collect();
    bench.publish(&texts).await?;
    let tries = Arc::<AtomicUsize>::default();
    let counted = tries.clone();
    let mut deps = bench.deps()?;
    deps.database = Arc::new(Double::new(bench.store.clone(), move |commands| {
        counted.fetch_add(usize::from(commands.iter().any(is_text)), Ordering::Relaxed);
        if commands.iter().any(is_poison) { Fate::Fails(Error::too_slow("slow")) } else { Fate::Through }
    }));
    let _worker = bench.run(deps);
    bench.worked_off().await?;
    let letters = bench.store.dead_letters(10).await?;
    let dead: BTreeSet<_> = letters.iter().map(|letter| &letter.dedupe_id).collect();
    assert_eq!(dead, BTreeSet::from([&texts[0].dedupe_id, &texts[1].dedupe_id]));
    ensure!(letters[0].reason.starts_with("a statement took too long"), "{}", letters[0].reason);
    eventually("the others are answered", SOON, || async { bench.accepted().len() == MANY - 2 }).await?;
    // The batch, each of its texts alone, and the slow ones on their other deliveries: together once, then alone.
    let tries = tries.load(Ordering::Relaxed);
    ensure!(tries <= 1 + MANY + 3 + 3 * 2, "{tries} tries");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_slow_for_all_no_text_is_blamed_and_no_delivery_used_up() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let (slow, tries) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
    let fate = |slow: &AtomicBool| match slow.load(Ordering::Relaxed) {
        true => Fate::Fails(Error::too_slow("slow")),
        false => Fate::Through,
    };
    let (of_probes, of_batches, counted) = (slow.clone(), slow.clone(), tries.clone());
    let mut double = Double::new(bench.store.clone(), move |commands| {
        counted.fetch_add(usize::from(commands.iter().any(is_text)), Ordering::Relaxed);
        fate(&of_batches)
    });
    double.probe = Box::new(move || fate(&of_probes));
    let mut deps = bench.deps()?;
    deps.database = Arc::new(double);
    // One that stands alone is treated no worse than many.
    bench.publish(&[text("main", &person(0), "hello")]).await?;
    let _worker = bench.run(deps);
    eventually("it is tried again and again", SOON, || async { tries.load(Ordering::Relaxed) > 8 }).await?;
    let texts: Vec<_> = (1..MANY).map(|i| text("main", &person(i), "hello")).collect();
    bench.publish(&texts).await?;
    let again: u64 = bench.stream.backlog().await?.iter().map(|shard| shard.redelivered).sum();
    assert_eq!(again, 0);
    slow.store(false, Ordering::Relaxed);
    bench.worked_off().await?;
    assert_eq!(bench.store.dead_letters(10).await?.len(), 0);
    for i in 0..MANY {
        ensure!(bench.case_of(&person(i)).await?.is_some(), "{} is in no case", person(i));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_wait_for_the_database_use_up_no_deliveries() -> Result<()> {
    let mut plan = Plan { ack_wait: Duration::from_secs(3), ..Plan::default() };
    plan.worker.hold_interval = Duration::from_millis(300);
    let bench = Bench::idle(plan).await?;
    let mut intruder = bench.intruder().await?;
    intruder.execute("begin immediate").await?;
    let texts: Vec<_> = (0..MANY).map(|i| text("main", &person(i), "hello")).collect();
    bench.publish(&texts).await?;
    let hasty = |database: &mut Database| {
        database.acquire_timeout = Duration::from_millis(200);
        database.transaction_timeout = Duration::from_millis(200);
    };
    let mut workers = Vec::new();
    for _ in 0..3 {
        let mut deps = bench.deps()?;
        deps.database = Arc::new(bench.store_with(hasty).await?);
        workers.push(bench.run(deps));
    }
    // Nothing is to happen, so there is nothing to wait for but the time in which it would.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let again: u64 = bench.stream.backlog().await?.iter().map(|shard| shard.redelivered).sum();
    assert_eq!(again, 0);
    intruder.execute("rollback").await?;
    bench.worked_off().await?;
    for i in 0..MANY {
        ensure!(bench.case_of(&person(i)).await?.is_some(), "{} is in no case", person(i));
    }
    Ok(())
}
