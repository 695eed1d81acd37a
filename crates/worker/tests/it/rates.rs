//! A line sends as fast as it may, and holds nobody up.

use std::time::{Duration, Instant};

use anyhow::Result;
use casewire_testkit::eventually;

use crate::bench::{Bench, SOON};
use crate::words::{HEATHER, person, texted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_keeps_its_rate_and_another_is_not_held_up() -> Result<()> {
    const TEXTS: usize = 80;
    let (bench, _worker) = Bench::start().await?;
    bench.add_line("slow", "+15550004444", 20).await?;
    let texts: Vec<_> = (0..TEXTS).map(|i| texted("slow", &person(i), "hello")).collect();
    bench.store.handle(texts).await?;
    let begun = Instant::now();
    let (accepted, to_heather) = (|| bench.accepted().len(), || bench.accepted_for(HEATHER).len());
    eventually("it begins", SOON, || async { accepted() > 0 }).await?;
    bench.text(HEATHER, "my heater is broken").await?;
    eventually("the other line answers", SOON, || async { to_heather() == 1 }).await?;
    assert!(accepted() < TEXTS / 2, "the slow line is under way still: {}", accepted());
    eventually("all are sent", SOON, || async { accepted() == TEXTS + 1 }).await?;
    // Twenty a second are four seconds; a tenth of a second's worth may come at once.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(3_700), "too fast: {took:?}");
    assert!(took < Duration::from_millis(5_500), "too slow: {took:?}");
    Ok(())
}
