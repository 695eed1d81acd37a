//! Delivery callbacks that get lost, come twice, late, or in the wrong order.

use std::sync::Arc;

use anyhow::Result;
use casewire_domain::DeliveryStatus::{self, Delivered, Queued, Undelivered};
use casewire_domain::command::Command;
use casewire_domain::outbox::AttemptOutcome;
use casewire_simulator::{FailedStatus, Fault, Rule, Status};
use casewire_store::{Claim, Claimed};
use casewire_worker::Deps;

use crate::bench::{Bench, Plan, SOON};
use crate::double::Double;
use crate::words::{HEATHER, IAN, person, sid, status, text, texted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_late_and_disordered_callbacks_end_in_the_right_status() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    let lost =
        Rule { statuses: vec![Status::Sending, Status::Sent], ..Rule::sometimes(0.3, Fault::DropCallbacks) };
    bench.faults(vec![
        Rule::sometimes(0.7, Fault::DuplicateCallbacks { copies: 2 }),
        Rule::sometimes(0.5, Fault::ReorderCallbacks),
        Rule::sometimes(0.5, Fault::DelayCallbacks { min_ms: 0, max_ms: 300 }),
        lost,
    ])?;
    let texts: Vec<_> = (0..40).map(|i| text("main", &person(i), "hello")).collect();
    bench.publish(&texts).await?;
    for i in 0..40 {
        bench.stands(&person(i), &[(Delivered, None)]).await?;
    }
    assert!(bench.simulator.wait_until_idle(SOON).await);
    bench.worked_off().await?;
    for i in 0..40 {
        let case = bench.case_soon(&person(i)).await?;
        let ours = &case.messages[1].message;
        assert_eq!((ours.progress.status(), ours.progress.conflict()), (Delivered, false));
    }
    assert_eq!(bench.accepted().len(), 40);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_came_early_and_cannot_be_handled_at_once_is_tried_again() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let (first, sid) = (bench.worker()?, sid());
    bench.publish(&[status("main", &sid, "delivered")]).await?;
    bench.worked_off().await?;
    first.end(SOON).await?;
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    let claim = Claim { most: 1, lease: SOON, paused: Vec::new(), slowed: Vec::new() };
    let Claimed { message_id, attempt, .. } = bench.store.claim(claim).await?.messages.remove(0);
    let outcome = AttemptOutcome::Accepted { provider_sid: sid, status: Queued };
    bench.store.handle_one(Command::Attempted { message_id, attempt, outcome, trace: None }).await?;
    let is_status = |command: &Command| matches!(command, Command::Status(..));
    let database = Arc::new(Double::stumbling(bench.store.clone(), 4, is_status));
    let _second = bench.run(Deps { database, ..bench.deps()? });
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert_eq!(bench.store.dead_letters(10).await?.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_callback_a_text_stays_where_the_provider_said_it_was() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    bench.faults(vec![Rule::always(Fault::DropCallbacks)])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Queued, None)]).await?;
    assert_eq!(bench.accepted().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_could_not_be_delivered_has_failed_with_the_code_and_is_counted() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    bench.faults(vec![Rule::next(
        1,
        Fault::FailDelivery { status: FailedStatus::Undelivered, code: 30_003 },
    )])?;
    bench.text(HEATHER, "my heater is broken").await?;
    let undelivered: [(DeliveryStatus, _); 1] = [(Undelivered, None)];
    bench.stands(HEATHER, &undelivered).await?;
    bench.text(IAN, "mine too").await?;
    bench.stands(IAN, &[(Delivered, None)]).await?;
    let case = bench.case_soon(HEATHER).await?;
    assert_eq!(case.messages[1].message.progress.error_code(), Some(30_003));
    let counted = "casewire_sms_status_total{status=\"undelivered\",error_code=\"30003\"}";
    assert_eq!(worker.metric(counted)?, 1.0);
    Ok(())
}
