//! One conversation, one lane: its texts leave in order, each when the one before is settled.

use anyhow::{Context, Result};
use casewire_domain::DeliveryStatus::{Delivered, Queued};
use casewire_domain::outbox::OutboxState::{Pending, Sending, Uncertain};
use casewire_simulator::{Fault, Rule};
use casewire_testkit::eventually;
use sqlx::Executor;

use crate::bench::{Bench, Plan, SOON};
use crate::words::{HEATHER, IAN, reply};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_leaves_when_the_one_before_it_was_accepted() -> Result<()> {
    let mut plan = Plan::default();
    plan.sender.request_timeout = SOON;
    let (bench, _worker) = Bench::with(plan).await?;
    // A callback would settle a text before the answer to its send does.
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    bench.gate.close();
    bench.text(HEATHER, "my heater is broken").await?;
    let case = bench.case_soon(HEATHER).await?.case.number;
    bench.store.handle_one(reply(case, "on our way")).await?;
    bench.store.handle_one(reply(case, "we are there")).await?;
    eventually("the acknowledgement is with the provider", SOON, || async { bench.gate.held() == 1 }).await?;
    bench.text(IAN, "mine too").await?;
    eventually("another conversation is not held up", SOON, || async { bench.gate.held() == 2 }).await?;
    let waiting = [(Queued, Some(Pending)), (Queued, Some(Pending))];
    assert_eq!(bench.standing(HEATHER).await?[1..], waiting);
    assert_eq!(bench.accepted_for(HEATHER).len(), 1);
    bench.gate.open();
    bench.stands(HEATHER, &[(Queued, None); 3]).await?;
    assert_eq!(bench.accepted_for(HEATHER)[1..], ["on our way", "we are there"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_must_be_tried_again_is_not_overtaken() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    let case = bench.case_soon(HEATHER).await?.case.number;
    bench.faults(vec![Rule::next(2, Fault::TooManyRequests { retry_after_s: None })])?;
    bench.store.handle_one(reply(case, "first")).await?;
    bench.store.handle_one(reply(case, "second")).await?;
    bench.stands(HEATHER, &[(Delivered, None); 3]).await?;
    assert_eq!(bench.accepted_for(HEATHER)[1..], ["first", "second"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_held_delays_later_ones_for_a_minute_at_most() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    bench.faults(vec![
        Rule::next(1, Fault::ErrorAfterAccepting),
        Rule { next: Some(3), ..Rule::always(Fault::DropCallbacks) },
    ])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Queued, Some(Uncertain))]).await?;
    let case = bench.case_soon(HEATHER).await?;
    bench.store.handle_one(reply(case.case.number, "on our way")).await?;
    bench.text(IAN, "mine too").await?;
    bench.stands(IAN, &[(Delivered, None)]).await?;
    assert_eq!(bench.standing(HEATHER).await?[1], (Queued, Some(Pending)), "the sender went past it");
    let mut intruder = bench.intruder().await?;
    // A minute has passed, as far as the outbox can tell.
    let passed = "update outbox set due_at = strftime('%Y-%m-%dT%H:%M:%f+00:00', due_at, '-61 seconds') \
                  where state = 'uncertain' returning due_at";
    intruder.fetch_one(passed).await.context("one text is held")?;
    bench.stands(HEATHER, &[(Queued, Some(Uncertain)), (Delivered, None)]).await?;
    assert_eq!(bench.accepted_for(HEATHER)[1..], ["on our way"]);
    assert!(!bench.standing(HEATHER).await?.contains(&(Queued, Some(Sending))));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_may_go_goes_at_once_and_not_at_the_next_look() -> Result<()> {
    let mut plan = Plan::default();
    plan.sender.poll_interval = SOON * 3;
    let (bench, worker) = Bench::with(plan).await?;
    // A callback would wake the sender too.
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Queued, None)]).await?;
    let case = bench.case_soon(HEATHER).await?.case.number;
    for words in ["on our way", "we are there", "it was the pump"] {
        bench.store.handle_one(reply(case, words)).await?;
    }
    worker.queued.notify_one();
    // The second and third are woken by the end of the one before.
    bench.stands(HEATHER, &[(Queued, None); 4]).await
}
