//! What a worker counts.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use casewire_domain::DeliveryStatus::Delivered;
use casewire_store::Error;
use casewire_testkit::eventually;

use crate::bench::{Bench, Plan, SOON};
use crate::double::{Double, Fate};
use crate::words::HEATHER;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_and_its_answer_are_counted_and_nobody_is_named() -> Result<()> {
    let (bench, worker) = Bench::start().await?;
    let text = worker.metrics.encode()?;
    for known in [
        "casewire_messages_processed_total{consumer=\"work\",disposition=\"park\"} 0",
        "casewire_messages_parked_total{reason=\"unhandled\"} 0",
        "casewire_sms_send_attempts_total{outcome=\"timeout\",error_code=\"\"} 0",
        "casewire_duplicate_send_detected_total 0",
    ] {
        assert!(text.contains(known), "{known} begins at 0, or its first failure has no rate: {text}");
    }
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    bench.worked_off().await?;
    for (counted, expected) in [
        ("casewire_case_events_total{event=\"created\"}", 1.0),
        ("casewire_webhook_to_case_duration_seconds_count", 1.0),
        ("casewire_sms_send_attempts_total{outcome=\"accepted\",error_code=\"\"}", 1.0),
        ("casewire_provider_request_duration_seconds_count{operation=\"send\",status_class=\"2xx\"}", 1.0),
        ("casewire_sms_status_total{status=\"delivered\",error_code=\"\"}", 1.0),
        ("casewire_outbox_messages{state=\"queued\"}", 0.0),
        ("casewire_sms_accept_duration_seconds_count{origin=\"automatic\"}", 1.0),
        ("casewire_sms_delivery_duration_seconds_count", 1.0),
        ("casewire_open_cases{status=\"open\"}", 1.0),
        ("casewire_provider_circuit_open", 0.0),
    ] {
        let found = || async { worker.metric(counted).is_ok_and(|found| found == expected) };
        eventually(counted, SOON, found).await?;
    }
    let text = worker.metrics.encode()?;
    for named in [
        "casewire_stream_pending_messages{stream=\"IN_0\",consumer=\"work\"}",
        "casewire_stream_limit_bytes{stream=\"IN_0\"}",
    ] {
        assert!(text.contains(named), "{named}: {text}");
    }
    assert!(!text.contains("2065550100"), "a number in {text}");
    Ok(())
}

#[tokio::test]
async fn a_count_that_failed_is_made_at_the_next_look_and_one_that_succeeded_rests() -> Result<()> {
    let mut plan = Plan::default();
    plan.worker.chores_interval = Duration::from_millis(20);
    plan.worker.retry_most = Duration::from_millis(20);
    plan.worker.counting_interval = Duration::from_secs(3600);
    let bench = Bench::idle(plan).await?;
    let looks = Arc::new(AtomicUsize::new(0));
    // At which look each count was made.
    let counts = Arc::new(Mutex::new(Vec::new()));
    let mut double = Double::new(bench.store.clone(), |_| Fate::Through);
    let looked = looks.clone();
    double.lost_attempts = Box::new(move || {
        looked.fetch_add(1, SeqCst);
        Fate::Through
    });
    let (looked, counted) = (looks.clone(), counts.clone());
    double.outbox_depth = Box::new(move || {
        let mut counts = counted.lock().unwrap();
        counts.push(looked.load(SeqCst));
        if counts.len() < 3 { Fate::Fails(Error::Panicked) } else { Fate::Through }
    });
    let mut deps = bench.deps()?;
    deps.database = Arc::new(double);
    let _worker = bench.run(deps);
    eventually("it looks on", SOON, async || looks.load(SeqCst) >= 20).await?;
    assert_eq!(*counts.lock().unwrap(), [1, 2, 3]);
    Ok(())
}
