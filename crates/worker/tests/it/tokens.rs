//! Tokens that the provider refuses.

use std::time::{Duration, Instant};

use anyhow::Result;
use casewire_domain::DeliveryStatus::{Delivered, Queued};
use casewire_domain::outbox::OutboxState::Pending;
use casewire_simulator::Account;
use casewire_testkit::eventually;

use crate::bench::{Bench, Plan, SOON};
use crate::words::{ACCOUNT, HEATHER, IAN, TOKEN, texted};

const NEW: &str = "abcdefabcdefabcdefabcdefabcdefab";

/// The provider takes this token and no other.
fn rotated(bench: &Bench, token: &str) -> Result<()> {
    bench.simulator.set_account(ACCOUNT.parse()?, Account::with_token(token));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_token_is_refused_texts_wait_and_the_breaker_is_open() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    rotated(&bench, NEW)?;
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    let open = "casewire_provider_circuit_open";
    eventually("the breaker opens", SOON, || async { worker.metric(open).is_ok_and(|open| open == 1.0) })
        .await?;
    bench.stands(HEATHER, &[(Queued, Some(Pending))]).await?;
    bench.put_token(NEW).await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    eventually("the breaker closes", SOON, || async { worker.metric(open).is_ok_and(|open| open == 0.0) })
        .await?;
    assert_eq!(bench.accepted().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_token_is_tried_at_once_while_a_rotation_is_under_way() -> Result<()> {
    let mut plan = Plan::default();
    plan.sender.refused_pause = Duration::from_secs(600);
    let (bench, _worker) = Bench::with(plan).await?;
    bench.put_token(NEW).await?;
    let begun = Instant::now();
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    rotated(&bench, NEW)?;
    bench.text(IAN, "mine too").await?;
    bench.stands(IAN, &[(Delivered, None)]).await?;
    assert!(begun.elapsed() < SOON);
    assert_eq!(bench.accepted().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_cannot_be_opened_opens_the_breaker_and_loses_nothing() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    let damaged = |_| casewire_domain::seal::Sealed::from_stored("v1.00000000.AAAA");
    bench.store.put_account_token(ACCOUNT.to_owned(), damaged).await?;
    bench.store.drop_old_tokens(ACCOUNT.to_owned()).await?;
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    let open = "casewire_provider_circuit_open";
    eventually("the breaker opens", SOON, || async { worker.metric(open).is_ok_and(|open| open == 1.0) })
        .await?;
    bench.put_token(TOKEN).await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await
}
