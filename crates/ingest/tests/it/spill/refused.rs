//! What the stream refuses for its own sake.

use std::time::Duration;

use anyhow::Result;
use casewire_runtime::config;
use casewire_testkit::eventually;

use super::{all_once, events_of_all, front, settings, sum, take};
use crate::fickle::{Fickle, Mood};
use crate::front::{Front, SOON, events};

#[tokio::test]
async fn what_the_stream_refuses_for_its_own_sake_stays_and_lets_the_others_pass() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let front = front(stream.clone(), settings(folder.path())).await?;
    stream.all(Mood::Picky("0"));
    take(&front, 0..1).await?;
    take(&front, 1..6).await?;
    assert_eq!(front.metric("casewire_spill_breaker_open{stream=\"IN_0\"}")?, "0");
    eventually("it was tried", SOON, async || sum(&front, "casewire_spill_put_off_total").ok() == Some(1))
        .await?;
    stream.all(Mood::Away);
    take(&front, 6..10).await?;
    stream.all(Mood::Picky("0"));
    events_of_all(&front, 4).await?;
    assert_eq!(events(stream.as_ref()).await?.len(), 9);
    eventually("it is still there", SOON, async || {
        front.metric("casewire_spill_events").is_ok_and(|is| is == "1")
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn the_age_of_what_the_stream_refused_keeps_no_other_from_being_taken() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let short = config::Ingest { spill_max_age: Duration::from_millis(1), ..settings(folder.path()) };
    let first = front(stream.clone(), short.clone()).await?;
    stream.all(Mood::Picky("0"));
    take(&first, 0..1).await?;
    let stands = async |front: &Front| {
        let metrics = ["casewire_spill_events_put_off", "casewire_spill_events", "casewire_spill_taking"];
        let values: Result<Vec<_>> = metrics.iter().map(|name| front.metric(name)).collect();
        values.is_ok_and(|values| values == ["1", "1", "1"])
    };
    eventually("it was refused, and others are taken", SOON, async || stands(&first).await).await?;
    stream.all(Mood::Away);
    take(&first, 1..2).await?;
    stream.all(Mood::Picky("0"));
    events_of_all(&first, 1).await?;
    first.end().await?;
    // Nor after a restart, although nobody refuses it anew.
    stream.all(Mood::Away);
    let second = front(stream.clone(), short).await?;
    eventually("it was seen", SOON, async || stands(&second).await).await?;
    take(&second, 2..3).await
}

#[tokio::test]
async fn what_the_stream_refused_follows_once_the_reason_is_mended() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let soon = config::Ingest { spill_put_off: Duration::from_millis(100), ..settings(folder.path()) };
    let front = front(stream.clone(), soon).await?;
    stream.all(Mood::Picky("0"));
    take(&front, 0..1).await?;
    let tries = async || sum(&front, "casewire_spill_put_off_total").is_ok_and(|tries| tries > 1);
    eventually("it was tried again", SOON, tries).await?;
    stream.all(Mood::Well);
    all_once(&front, stream.as_ref(), 1).await?;
    Ok(())
}
