//! How much the spill takes, and for how long.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use casewire_runtime::config;
use casewire_testkit::eventually;
use reqwest::StatusCode;

use super::{all_once, events_of_all, front, is_ok, refused, settings, take, text_of};
use crate::fickle::{Fickle, Mood};
use crate::front::SOON;

#[tokio::test]
async fn a_full_spill_refuses_with_503_and_takes_again_what_there_is_room_for() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let small = config::Ingest { spill_max_bytes: config::Size::kib(8), ..settings(folder.path()) };
    let front = front(stream.clone(), small).await?;
    stream.all(Mood::Away);
    let mut taken = 0;
    while front.post("/inbound/main", &text_of(taken, taken)).await?.status() == StatusCode::OK {
        taken += 1;
        ensure!(taken < 100, "it has no bound");
    }
    assert!(taken > 5, "only {taken} fitted");
    assert_eq!(refused(&front, "full")?, "1");
    let answer = front.post("/inbound/main", &text_of(1000, 1000)).await?;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "2");
    eventually("it says so", SOON, async || front.metric("casewire_spill_taking").is_ok_and(|is| is == "0"))
        .await?;
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), taken).await?;
    stream.all(Mood::Away);
    take(&front, taken..taken + 5).await?;
    stream.all(Mood::Well);
    events_of_all(&front, taken + 5).await
}

#[tokio::test]
async fn behind_an_event_that_waits_for_too_long_no_more_are_taken_and_none_is_given_up() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let short = config::Ingest { spill_max_age: Duration::from_millis(500), ..settings(folder.path()) };
    let front = front(stream.clone(), short).await?;
    stream.all(Mood::Away);
    take(&front, 0..1).await?;
    let (started, mut taken) = (Instant::now(), 1);
    while front.post("/inbound/main", &text_of(taken, taken)).await?.status() == StatusCode::OK {
        taken += 1;
        ensure!(started.elapsed() < SOON, "it is never too old");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        (refused(&front, "aged")?.as_str(), front.metric("casewire_spill_taking")?.as_str()),
        ("1", "0")
    );
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), taken).await?;
    Ok(())
}

#[tokio::test]
async fn with_room_in_the_spill_an_ingest_is_ready_however_long_the_stream_is_away() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let impatient = config::Ingest { stream_grace: Duration::ZERO, ..settings(folder.path()) };
    let small = config::Ingest { spill_max_bytes: config::Size::kib(2), ..impatient };
    let front = front(stream.clone(), small).await?;
    stream.all(Mood::Away);
    take(&front, 0..1).await?;
    assert!(front.health.readiness().iter().all(is_ok), "{:?}", front.health.readiness());
    let mut n = 1;
    while front.post("/inbound/main", &text_of(n, n)).await?.status() == StatusCode::OK {
        n += 1;
    }
    let refused = async || !front.health.readiness().iter().all(is_ok);
    eventually("without room it is not", SOON, refused).await?;
    let asked = stream.asked();
    assert_eq!(front.post("/inbound/main", &text_of(n, n)).await?.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(stream.asked() > asked, "with a full spill the stream is asked after all");
    Ok(())
}
