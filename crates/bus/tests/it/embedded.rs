//! What only the embedded stream does.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use casewire_bus::embedded::{CopyError, OpenError};
use casewire_bus::{ConsumeError, EmbeddedConfig, EmbeddedStream, PublishError, Stream};

use crate::rig::{event, fetch, fetch_now, id_of};

fn config() -> EmbeddedConfig {
    EmbeddedConfig { lock_timeout: Duration::from_millis(100), ..EmbeddedConfig::default() }
}

#[tokio::test]
async fn a_second_process_is_refused_with_a_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("stream.db");
    let first = EmbeddedStream::open(&path, config()).await?;
    let second = EmbeddedStream::open(&path, config()).await.expect_err("refused");
    ensure!(matches!(second, OpenError::InUse), "{second}");
    first.close().await;
    EmbeddedStream::open(&path, config()).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() -> Result<()> {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("stream.db");
    let mut file = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await?;
    sqlx::raw_sql("PRAGMA user_version = 9").execute(&mut file).await?;
    file.close().await?;
    let refused = EmbeddedStream::open(&path, config()).await.expect_err("refused");
    ensure!(matches!(refused, OpenError::Version(9)), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_an_error_not_a_crash() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let refused = EmbeddedStream::open(&folder.path().join("no/such/stream.db"), config()).await;
    ensure!(matches!(refused, Err(OpenError::Database(_))));
    Ok(())
}

#[tokio::test]
async fn what_an_earlier_process_had_in_work_is_free_at_once_and_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("stream.db");
    let stream = EmbeddedStream::open(&path, config()).await?;
    stream.publish(&event("i:AC1:SM1"), 0).await?;
    stream.publish(&event("i:AC1:SM2"), 0).await?;
    let mut deliveries = fetch(&mut *stream.consume(0).await?, 2).await?;
    deliveries.remove(1).ack().await?;
    stream.close().await;

    let stream = EmbeddedStream::open(&path, config()).await?;
    let mut consumer = stream.consume(0).await?;
    let deliveries = fetch(&mut *consumer, 1).await?;
    ensure!(fetch_now(&mut *consumer).await?.is_empty(), "the acknowledged one is gone");
    let came: Vec<_> = deliveries.iter().map(|delivery| (id_of(delivery), delivery.attempt)).collect();
    assert_eq!(came, [("i:AC1:SM1".to_owned(), 2)]);
    Ok(())
}

#[tokio::test]
async fn a_closed_stream_refuses_everything_promptly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stream = EmbeddedStream::open(&folder.path().join("stream.db"), config()).await?;
    let mut consumer = stream.consume(0).await?;
    stream.publish(&event("i:AC1:SM1"), 0).await?;
    let delivery = fetch(&mut *consumer, 1).await?.remove(0);
    stream.close().await;
    ensure!(!stream.connected());
    assert_eq!(stream.publish(&event("i:AC1:SM2"), 0).await, Err(PublishError::Unavailable));
    assert_eq!(consumer.fetch(1, Duration::from_secs(60)).await.err(), Some(ConsumeError::Unavailable));
    assert_eq!(stream.backlog().await.err(), Some(ConsumeError::Unavailable));
    ensure!(delivery.ack().await.is_err());
    stream.close().await;
    Ok(())
}

#[tokio::test]
async fn fewer_shards_take_over_the_events_of_those_that_are_no_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("stream.db");
    let stream = EmbeddedStream::open(&path, EmbeddedConfig { shards: 4, ..config() }).await?;
    for shard in 0..4 {
        stream.publish(&event(&format!("i:AC1:SM{shard}")), shard).await?;
    }
    stream.close().await;
    let stream = EmbeddedStream::open(&path, config()).await?;
    let deliveries = fetch(&mut *stream.consume(0).await?, 4).await?;
    let came: BTreeSet<_> = deliveries.iter().map(id_of).collect();
    assert_eq!(came, (0..4).map(|shard| format!("i:AC1:SM{shard}")).collect());
    Ok(())
}

#[tokio::test]
async fn all_shards_together_hold_no_more_than_the_file_may() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let bounds = EmbeddedConfig { shards: 2, max_total_bytes: 3_000, ..config() };
    let stream = EmbeddedStream::open(&folder.path().join("stream.db"), bounds).await?;
    let mut refused = Vec::new();
    for number in 0..20 {
        let shard = number % 2;
        if let Err(error) = stream.publish(&event(&format!("i:AC1:SM{number}")), shard).await {
            refused.push(error);
        }
    }
    ensure!((1..19).contains(&refused.len()), "{} were refused", refused.len());
    ensure!(refused.iter().all(|error| *error == PublishError::Full), "{refused:?}");
    for delivery in fetch(&mut *stream.consume(0).await?, 1).await? {
        delivery.ack().await?;
    }
    stream.publish(&event("i:AC1:SMother"), 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_sequence_is_never_used_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("stream.db");
    let stream = EmbeddedStream::open(&path, config()).await?;
    let first = stream.publish(&event("i:AC1:SM1"), 0).await?.sequence;
    for delivery in fetch(&mut *stream.consume(0).await?, 1).await? {
        delivery.ack().await?;
    }
    stream.close().await;
    let stream = EmbeddedStream::open(&path, config()).await?;
    ensure!(stream.publish(&event("i:AC1:SM2"), 0).await?.sequence > first);
    Ok(())
}

#[tokio::test]
async fn a_copy_holds_what_was_stored_before_it_was_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (path, copy) = (folder.path().join("stream.db"), folder.path().join("it's a copy.db"));
    let stream = EmbeddedStream::open(&path, config()).await?;
    for id in ["i:AC1:SM1", "i:AC1:SM2", "i:AC1:SM3"] {
        stream.publish(&event(id), 0).await?;
    }
    let mut deliveries = fetch(&mut *stream.consume(0).await?, 2).await?;
    deliveries.remove(0).ack().await?;
    stream.copy_to(&copy).await?;
    ensure!(stream.copy_to(&copy).await.is_err(), "what is there is not overwritten");
    stream.publish(&event("i:AC1:SM4"), 0).await?;
    stream.close().await;
    ensure!(matches!(stream.copy_to(&folder.path().join("late.db")).await, Err(CopyError::Closed)));

    let copied = EmbeddedStream::open(&copy, config()).await?;
    let held: Vec<_> = fetch(&mut *copied.consume(0).await?, 2).await?.iter().map(id_of).collect();
    assert_eq!(held, ["i:AC1:SM2", "i:AC1:SM3"]);
    ensure!(copied.publish(&event("i:AC1:SM3"), 0).await?.duplicate, "it knows the ids of what it holds");
    Ok(())
}
