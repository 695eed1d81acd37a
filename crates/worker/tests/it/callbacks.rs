//! Delivery callbacks that get lost, come twice, late, or in the wrong order.

use anyhow::Result;
use casewire_domain::DeliveryStatus::{self, Delivered, Queued, Undelivered};
use casewire_simulator::{FailedStatus, Fault, Rule, Status};

use crate::bench::{Bench, SOON};
use crate::words::{HEATHER, IAN, person, text};

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
