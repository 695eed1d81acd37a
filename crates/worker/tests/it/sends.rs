//! Whatever the provider does to a send: never twice, and at last known.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use casewire_domain::DeliveryStatus::{self, Canceled, Delivered, Failed, Queued};
use casewire_domain::decide::{Outcome, Refusal};
use casewire_domain::outbox::OutboxState::{Pending, Uncertain};
use casewire_runtime::config;
use casewire_simulator::{Fault, Rule, Status};
use casewire_store::Claim;
use casewire_testkit::{eventually, port};

use crate::bench::{Bench, Plan, Running, SOON};
use crate::words::{HEATHER, IAN, number, reply, texted};

/// What leaves open whether the provider took the text, which it did.
const TAKEN: [Fault; 5] = [
    Fault::ErrorAfterAccepting,
    Fault::HangAfterAccepting,
    Fault::ResetAfterAccepting,
    Fault::TruncatedAnswer,
    Fault::GarbledAnswer,
];

/// Shows that the sender went on looking for what it may send: it sent something else, and chores were done.
async fn later(bench: &Bench, person: &str) -> Result<()> {
    bench.text(person, "another matter").await?;
    bench.stands(person, &[(Delivered, None)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_text_is_sent_once_later() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    bench.faults(vec![Rule::next(3, Fault::TooManyRequests { retry_after_s: None })])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert_eq!((bench.accepted().len(), bench.simulator.ledger().refused.get(&20_429)), (1, Some(&3)));
    assert_eq!(worker.metric("casewire_provider_throttled_total")?, 3.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_text_waits_as_long_as_the_provider_asks() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    bench.faults(vec![Rule::next(1, Fault::TooManyRequests { retry_after_s: Some(2) })])?;
    let begun = Instant::now();
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(bench.accepted().len(), 1);
    Ok(())
}

async fn is_held_and_never_sent_again(fault: Fault, accepted: usize) -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    bench.faults(vec![Rule::next(1, fault.clone()), Rule::always(Fault::DropCallbacks)])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Queued, Some(Uncertain))]).await.with_context(|| format!("{fault:?}"))?;
    bench.faults(Vec::new())?;
    later(&bench, IAN).await?;
    assert_eq!(bench.accepted_for(HEATHER).len(), accepted, "{fault:?}");
    assert_eq!(bench.standing(HEATHER).await?, [(Queued, Some(Uncertain))]);
    let held = "casewire_outbox_messages{state=\"uncertain\"}";
    eventually("it is counted", SOON, || async { worker.metric(held).is_ok_and(|held| held == 1.0) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_the_provider_may_have_is_held_and_never_sent_again() -> Result<()> {
    for fault in TAKEN {
        is_held_and_never_sent_again(fault, 1).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_error_proves_nothing_so_the_text_is_held() -> Result<()> {
    is_held_and_never_sent_again(Fault::ErrorBeforeAccepting, 0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_settles_a_text_that_was_held() -> Result<()> {
    for fault in TAKEN {
        let (bench, _worker) = Bench::start().await?;
        let only_the_last =
            |fault| Rule { statuses: vec![Status::Sending, Status::Sent], ..Rule::always(fault) };
        let late = Rule {
            statuses: vec![Status::Delivered],
            ..Rule::always(Fault::DelayCallbacks { min_ms: 1_500, max_ms: 1_500 })
        };
        bench.faults(vec![Rule::next(1, fault.clone()), only_the_last(Fault::DropCallbacks), late])?;
        bench.text(HEATHER, "my heater is broken").await?;
        bench.stands(HEATHER, &[(Queued, Some(Uncertain))]).await.with_context(|| format!("{fault:?}"))?;
        bench.stands(HEATHER, &[(Delivered, None)]).await.with_context(|| format!("{fault:?}"))?;
        assert_eq!(bench.accepted().len(), 1, "{fault:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_whose_process_died_is_held_and_never_sent_again() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    // Another process claimed it, and died before it could tell what came of it.
    let claim = Claim { most: 1, lease: Duration::from_millis(300), paused: Vec::new(), slowed: Vec::new() };
    assert_eq!(bench.store.claim(claim).await?.messages.len(), 1);
    let _worker = bench.worker()?;
    bench.stands(HEATHER, &[(Queued, Some(Uncertain))]).await?;
    later(&bench, IAN).await?;
    assert_eq!(bench.accepted_for(HEATHER), [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_provider_cannot_be_reached_texts_wait_and_then_go_once() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let nobody = format!("http://127.0.0.1:{}", port::free()?);
    let mut deps = bench.deps()?;
    deps.provider = Arc::new(bench.provider_at(&nobody)?);
    let lost = bench.run(deps);
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    let tries = "casewire_sms_send_attempts_total{outcome=\"unreachable\",error_code=\"\"}";
    eventually("it is tried again", SOON, || async { lost.metric(tries).is_ok_and(|tries| tries >= 2.0) })
        .await?;
    lost.end(SOON).await?;
    assert_eq!(bench.standing(HEATHER).await?, [(Queued, Some(Pending))]);
    let _worker = bench.worker()?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert_eq!(bench.accepted().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_final_and_keeps_its_code() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    bench.faults(vec![Rule::next(1, Fault::Refuse { status: 400, code: 21_614 })])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Failed, None)]).await?;
    let case = bench.case_soon(HEATHER).await?;
    assert_eq!(case.messages[1].message.progress.error_code(), Some(21_614));
    later(&bench, IAN).await?;
    assert_eq!(bench.accepted_for(HEATHER), [""; 0]);
    let counted = "casewire_sms_send_attempts_total{outcome=\"rejected\",error_code=\"21614\"}";
    assert_eq!(worker.metric(counted)?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_the_provider_says_has_opted_out_is_not_texted_again() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    bench.faults(vec![Rule::next(1, Fault::OptedOut)])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Failed, None)]).await?;
    let case = bench.case_soon(HEATHER).await?;
    assert!(case.opted_out);
    let refused = bench.store.handle_one(reply(case.case.number, "on our way")).await?;
    assert_eq!(refused, Outcome::Refused(Refusal::OptedOut));
    Ok(())
}

async fn canceled(bench: &Bench, worker: Running) -> Result<()> {
    let canceled: [(DeliveryStatus, _); 1] = [(Canceled, None)];
    bench.stands(HEATHER, &canceled).await?;
    assert_eq!(bench.accepted_for(HEATHER), [""; 0]);
    let counted = "casewire_sms_send_attempts_total{outcome=\"blocked_opt_out\",error_code=\"\"}";
    assert_eq!(worker.metric(counted)?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_to_somebody_who_stopped_before_it_left_is_canceled() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    bench.store.handle_one(texted("main", HEATHER, "STOP")).await?;
    canceled(&bench, bench.worker()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_to_somebody_who_stopped_between_two_attempts_is_canceled() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    bench.faults(vec![Rule::next(1, Fault::TooManyRequests { retry_after_s: Some(2) })])?;
    bench.text(HEATHER, "my heater is broken").await?;
    eventually("it was throttled", SOON, || async { !bench.simulator.ledger().refused.is_empty() }).await?;
    bench.text(HEATHER, "STOP").await?;
    assert!(bench.simulator.inbox(&number(HEATHER)).len() <= 1, "the provider's own answer at most");
    canceled(&bench, worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_longer_than_the_places_is_sent_round_after_round_without_a_pause() -> Result<()> {
    let sender = config::Sender {
        concurrency: NonZeroU32::new(2).context("not 0")?,
        claim_interval: 10 * SOON,
        ..Plan::default().sender
    };
    let bench = Bench::idle(Plan { sender, ..Plan::default() }).await?;
    // Each opens a case, which is acknowledged.
    let people: Vec<_> = (0..6).map(|n| format!("+1206555{:04}", 100 + n)).collect();
    for person in &people {
        bench.store.handle_one(texted("main", person, "my heater is broken")).await?;
    }
    let _worker = bench.worker()?;
    eventually("all are sent", SOON, || async { bench.accepted().len() == people.len() }).await
}
