//! One ingest ends and the next begins, in the same folder.

use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::Result;
use casewire_bus::DirectoryBoard;
use casewire_ingest::{Spill, SpillError};
use casewire_runtime::config;
use casewire_runtime::shutdown::Ended;
use casewire_testkit::eventually;
use reqwest::StatusCode;

use super::{events_of, front, is_ok, settings, sum, take, text_of};
use crate::fickle::{Fickle, Mood};
use crate::front::{Front, SOON, events};

#[tokio::test]
async fn what_an_ended_ingest_left_is_drained_by_the_next_in_its_order() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    stream.all(Mood::Away);
    let first = front(stream.clone(), settings(folder.path())).await?;
    take(&first, 0..200).await?;
    first.end().await?;
    stream.all(Mood::Well);
    let second = front(stream.clone(), settings(folder.path())).await?;
    let all = events_of(&second, stream.as_ref(), 200).await?;
    let order: Vec<_> = all.iter().map(|event| event.dedupe_id.as_str().to_owned()).collect();
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(order, sorted);
    Ok(())
}

#[tokio::test]
async fn an_ingest_with_a_large_spill_ends_in_time_and_leaves_the_rest_to_the_next() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    stream.all(Mood::Away);
    let narrow = config::Ingest { drain_window: NonZeroU16::MIN, ..settings(folder.path()) };
    let first = front(stream.clone(), narrow.clone()).await?;
    take(&first, 0..100).await?;
    // It takes 20 s to empty: longer than there is for an end.
    stream.all(Mood::Slow);
    eventually("it is being emptied", SOON, async || {
        sum(&first, "casewire_spill_drained_total").is_ok_and(|drained| drained > 0)
    })
    .await?;
    first.end_within(Duration::from_secs(5)).await?;
    let early = events(stream.as_ref()).await?.len();
    assert!((1..100).contains(&early), "{early} left before the end");
    stream.all(Mood::Well);
    let second = front(stream.clone(), settings(folder.path())).await?;
    let drained = async || sum(&second, "casewire_spill_drained_total").ok() == Some(100 - early as u64);
    eventually("the rest was drained", SOON, drained).await?;
    assert_eq!(events(stream.as_ref()).await?.len(), 100 - early);
    Ok(())
}

#[tokio::test]
async fn an_ingest_that_can_no_longer_empty_its_spill_ends_and_says_so() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    stream.all(Mood::Away);
    let front = front(stream.clone(), settings(folder.path())).await?;
    let tasks: Vec<_> = front.health.liveness().iter().map(|check| check.name).collect();
    assert_eq!(tasks, ["spill drain", "spill watch"], "whoever asks is told if one of them hangs");
    take(&front, 0..1).await?;
    stream.all(Mood::Panics);
    assert_eq!(front.ended().await?, Ended::Failed("spill drain panicked".to_owned()));
    Ok(())
}

#[tokio::test]
async fn an_ingest_that_starts_while_the_stream_is_away_knows_its_lines_and_takes_texts() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let first = front(stream.clone(), settings(folder.path())).await?;
    let kept = folder.path().join("spill/directory.json");
    eventually("the directory is kept", SOON, async || kept.exists()).await?;
    first.end().await?;
    stream.all(Mood::Away);
    let second = Front::spilling(stream.clone(), settings(folder.path())).await?;
    assert!(second.health.readiness().iter().all(is_ok), "{:?}", second.health.readiness());
    take(&second, 0..3).await?;
    // The stream's own directory has the last word, whatever was remembered.
    second.board.publish(&casewire_domain::directory::Directory::default()).await?;
    eventually("the line is gone", SOON, async || {
        let answer = second.post("/inbound/main", &text_of(9, 9)).await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::FORBIDDEN)
    })
    .await?;
    stream.all(Mood::Well);
    events_of(&second, stream.as_ref(), 3).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_ingest_in_the_same_folder_is_refused_in_a_sentence() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let _front = front(stream.clone(), settings(folder.path())).await?;
    let settings = settings(folder.path());
    let path = settings.spill_dir.clone().expect("a folder");
    let error = Spill::open(&path, &settings, 1).await.err().expect("refused");
    assert!(matches!(error, SpillError::InUse(_)), "{error:?}");
    assert!(error.to_string().starts_with("another ingest uses the spill folder"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_spill_is_readable_for_its_owner_alone() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    stream.all(Mood::Away);
    let front = front(stream.clone(), settings(folder.path())).await?;
    take(&front, 0..1).await?;
    let spill = folder.path().join("spill");
    eventually("the directory is kept", SOON, async || spill.join("directory.json").exists()).await?;
    for entry in std::fs::read_dir(&spill)? {
        let entry = entry?;
        let mode = entry.metadata()?.permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} is {mode:o}", entry.path());
    }
    assert_eq!(std::fs::metadata(&spill)?.permissions().mode() & 0o077, 0);
    Ok(())
}
