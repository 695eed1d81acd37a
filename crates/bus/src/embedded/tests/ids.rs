//! Which ids are recognised, and for how long.

use std::sync::atomic::AtomicBool;

use futures_util::future::join_all;

use super::*;

const WINDOW: Duration = Duration::from_secs(15 * 60);

/// A stream in which all ids have one hash.
async fn open_colliding(path: &Path) -> EmbeddedStream {
    let config = EmbeddedConfig::default();
    let (connection, clock) = file(path, &config, SystemTime::now()).await;
    let known = KnownIds::hashed_by(config.most_ids, |_, _| 7);
    EmbeddedStream::over(connection, config, clock, known).await.expect("a stream")
}

async fn open_with(path: &Path, config: &EmbeddedConfig) -> EmbeddedStream {
    let (connection, clock) = file(path, config, SystemTime::now()).await;
    over(connection, config.clone(), clock).await
}

/// Publishes these events one after the other: under which sequences, and whether they were there.
async fn publish(stream: &EmbeddedStream, numbers: &[usize]) -> Vec<(u64, bool)> {
    let mut published = Vec::new();
    for number in numbers {
        let answer = stream.publish(&event(*number), 0).await.expect("an answer");
        published.push((answer.sequence, answer.duplicate));
    }
    published
}

/// The sequences whose ids are in the file of a closed stream.
async fn sequences(path: &Path) -> Vec<i64> {
    let (mut connection, _) = file(path, &EmbeddedConfig::default(), SystemTime::now()).await;
    let sequences = sqlx::query_scalar("SELECT sequence FROM dedupe ORDER BY sequence");
    let sequences = sequences.fetch_all(&mut connection).await.expect("ids");
    sqlx::Connection::close(connection).await.expect("closed");
    sequences
}

#[tokio::test]
async fn ids_of_one_hash_are_all_stored_and_all_recognised() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let stream = open_colliding(&path).await;
    assert_eq!(publish(&stream, &[1, 2, 3]).await, [(1, false), (2, false), (3, false)]);
    assert_eq!(publish(&stream, &[2, 1, 3]).await, [(2, true), (1, true), (3, true)]);
    stream.close().await;
    let stream = open_colliding(&path).await;
    assert_eq!(publish(&stream, &[3, 4, 2, 4]).await, [(3, true), (4, false), (2, true), (4, true)]);
}

#[tokio::test]
async fn a_duplicate_within_a_group_is_recognised_and_a_collision_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let stream = open_colliding(&folder.path().join("stream.db")).await;
    // Nothing is awaited between the requests: the writer finds them all at once.
    let events = [1, 2, 1, 3, 2].map(event);
    let answers = join_all(events.iter().map(|event| stream.publish(event, 0))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
    let told: Vec<_> = answers.iter().map(|answer| (answer.sequence, answer.duplicate)).collect();
    assert_eq!(told, [(1, false), (2, false), (1, true), (3, false), (2, true)]);
}

#[tokio::test]
async fn an_id_is_known_to_the_next_process_for_the_rest_of_its_window() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let now = SystemTime::now();
    let stream = open_at(&path, now).await;
    publish(&stream, &[1]).await;
    stream.close().await;
    let stream = open_at(&path, now + WINDOW / 2).await;
    assert_eq!(publish(&stream, &[2, 1]).await, [(2, false), (1, true)]);
    stream.close().await;
    let stream = open_at(&path, now + WINDOW + Duration::from_secs(60)).await;
    assert_eq!(publish(&stream, &[2, 1, 1]).await, [(2, true), (3, false), (3, true)]);
}

#[tokio::test]
async fn an_id_is_forgotten_after_its_window_and_leaves_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let window = Duration::from_millis(300);
    let config = EmbeddedConfig { duplicate_window: window, ..EmbeddedConfig::default() };
    let stream = open_with(&path, &config).await;
    publish(&stream, &[1, 2, 3, 4]).await;
    tokio::time::sleep(window + Duration::from_millis(50)).await;
    assert_eq!(publish(&stream, &[1]).await, [(5, false)]);
    // What one group forgets in memory the next removes from the file, two for each that it stores.
    publish(&stream, &[5]).await;
    stream.close().await;
    let left = sequences(&path).await;
    assert!(!left.contains(&1) && !left.contains(&2) && left.contains(&6), "{left:?}");
}

#[tokio::test]
async fn ids_that_were_over_before_the_start_leave_the_file_two_for_each_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let stream = open_at(&path, SystemTime::now() - DAY).await;
    publish(&stream, &[1, 2, 3, 4, 5]).await;
    stream.close().await;
    let stream = open_at(&path, SystemTime::now()).await;
    publish(&stream, &[6, 7]).await;
    stream.close().await;
    assert_eq!(sequences(&path).await, [5, 6, 7]);
}

#[tokio::test]
async fn beyond_the_bound_the_first_ids_are_forgotten_by_this_process_and_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let config = EmbeddedConfig { most_ids: 3, ..EmbeddedConfig::default() };
    let stream = open_with(&path, &config).await;
    publish(&stream, &[1, 2, 3, 4, 5]).await;
    assert_eq!(publish(&stream, &[5, 4, 3]).await, [(5, true), (4, true), (3, true)]);
    assert_eq!(publish(&stream, &[2, 2, 3]).await, [(6, false), (6, true), (7, false)]);
    stream.close().await;
    let stream = open_with(&path, &config).await;
    assert_eq!(publish(&stream, &[3, 2, 5, 4]).await, [(7, true), (6, true), (5, true), (8, false)]);
    stream.close().await;
    assert!(sequences(&path).await.len() <= 4, "what is forgotten does not pile up");
}

#[tokio::test]
async fn an_id_stored_under_a_wrong_clock_is_remembered_for_a_window_from_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let now = SystemTime::now();
    let stream = open_at(&path, now + 365 * DAY).await;
    publish(&stream, &[1]).await;
    stream.close().await;
    let stream = open_at(&path, now).await;
    assert_eq!(publish(&stream, &[1]).await, [(1, true)]);
    stream.close().await;
    let stream = open_at(&path, now + WINDOW + Duration::from_secs(60)).await;
    assert_eq!(publish(&stream, &[1]).await, [(2, false)]);
}

#[tokio::test]
async fn an_id_whose_commit_failed_is_not_remembered() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = EmbeddedConfig::default();
    let (mut connection, clock) = file(&folder.path().join("stream.db"), &config, SystemTime::now()).await;
    let failing = Arc::new(AtomicBool::new(false));
    let fails = failing.clone();
    let mut handle = connection.lock_handle().await.expect("the connection");
    handle.set_commit_hook(move || !fails.load(Ordering::Relaxed));
    drop(handle);
    let stream = over(connection, config, clock).await;
    assert_eq!(publish(&stream, &[1]).await, [(1, false)]);
    failing.store(true, Ordering::Relaxed);
    assert_eq!(stream.publish(&event(2), 0).await, Err(PublishError::Unavailable));
    failing.store(false, Ordering::Relaxed);
    assert_eq!(publish(&stream, &[2, 2, 1]).await, [(2, false), (2, true), (1, true)]);
}
