//! A text comes, its acknowledgement goes.

use anyhow::{Context, Result};
use casewire_domain::DeliveryStatus;
use casewire_domain::command::Command;
use casewire_domain::outbox::AttemptOutcome;
use casewire_simulator::{Fault, Rule, Status};
use casewire_store::{Claim, Config as Database};
use casewire_testkit::{Postgres, eventually};
use std::time::{Duration, Instant};

use crate::bench::{Bench, Plan, SOON};
use crate::words::{HEATHER, IAN, LINE, number, person, sid, status, text, texted};

async fn a_text_is_acknowledged_and_delivered(plan: Plan) -> Result<()> {
    let (bench, worker) = Bench::with(plan).await?;
    bench.text(HEATHER, "my heater is broken").await?;
    let answer = bench.simulator.wait_for_text(&number(HEATHER), |_| true, SOON).await;
    let answer = answer.context("nothing came back")?;
    let case = bench.case_soon(HEATHER).await?;
    assert!(answer.body.reveal().contains(&case.case.number.to_string()), "the number of the case");
    assert_eq!(answer.line, number(LINE));
    bench.stands(HEATHER, &[(DeliveryStatus::Delivered, None)]).await?;
    bench.text(HEATHER, "it smells too").await?;
    eventually("the second text is in the case", SOON, || async {
        bench.case_of(HEATHER).await.ok().flatten().is_some_and(|case| case.messages.len() == 3)
    })
    .await?;
    assert_eq!(bench.accepted().len(), 1, "what joins a case is not answered");
    bench.worked_off().await?;
    worker.end(SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_becomes_a_case_and_its_acknowledgement_arrives() -> Result<()> {
    a_text_is_acknowledged_and_delivered(Plan::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_becomes_a_case_on_postgres_too() -> Result<()> {
    let database = Database::new(Postgres::shared().await?.database().await?);
    a_text_is_acknowledged_and_delivered(Plan { database: Some(database), ..Plan::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_what_there_is_and_double_nothing() -> Result<()> {
    let database = Database::new(Postgres::shared().await?.database().await?);
    let bench = Bench::idle(Plan { database: Some(database), ..Plan::default() }).await?;
    let texts: Vec<_> = (0..300).map(|i| text("main", &person(i), "hello")).collect();
    bench.publish(&texts).await?;
    let _workers = [bench.worker()?, bench.worker()?];
    eventually("all are answered", SOON, || async { bench.accepted().len() >= 300 }).await?;
    bench.worked_off().await?;
    assert!(bench.simulator.wait_until_idle(SOON).await);
    let mut people: Vec<_> = bench.accepted().iter().map(|send| send.to.reveal().to_owned()).collect();
    people.sort();
    people.dedup();
    assert_eq!((people.len(), bench.accepted().len()), (300, 300), "one each");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_before_its_text_is_known_is_applied_within_two_seconds() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    // Whoever sends the answer is slow to tell of it.
    let claim = Claim { most: 1, lease: Duration::from_secs(60), paused: Vec::new(), slowed: Vec::new() };
    let claimed = bench.store.claim(claim).await?.messages.pop().context("an answer to send")?;
    let _worker = bench.worker()?;
    let sid = sid();
    bench.publish(&[status("main", &sid, "delivered")]).await?;
    bench.worked_off().await?;
    assert_eq!(bench.standing(HEATHER).await?[0].0, DeliveryStatus::Queued);
    let (message_id, attempt) = (claimed.message_id, claimed.attempt);
    let outcome = AttemptOutcome::Accepted { provider_sid: sid, status: DeliveryStatus::Queued };
    bench.store.handle_one(Command::Attempted { message_id, attempt, outcome, trace: None }).await?;
    let known = Instant::now();
    bench.stands(HEATHER, &[(DeliveryStatus::Delivered, None)]).await?;
    assert!(known.elapsed() < Duration::from_secs(2), "{:?}", known.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_comes_before_the_answer_to_the_send_lands() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    let mut rest = Rule::always(Fault::DropCallbacks);
    rest.statuses = vec![Status::Delivered];
    bench.faults(vec![Rule::always(Fault::CallbackBeforeAnswer), rest])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.text(IAN, "mine too").await?;
    for person in [HEATHER, IAN] {
        bench.stands(person, &[(DeliveryStatus::Sent, None)]).await?;
    }
    assert_eq!(bench.accepted().len(), 2);
    Ok(())
}
