mod ids;
mod upgrade;

use std::time::{Duration, Instant, SystemTime};

use casewire_domain::{DedupeId, EventKind, Source};

use super::*;
use crate::ack_all;

fn event(number: usize) -> Event {
    Event {
        dedupe_id: DedupeId::new(format!("i:AC1:SM{number}")).expect("an id"),
        kind: EventKind::Message,
        source: Source::Webhook,
        line: "demo".into(),
        method: "POST".into(),
        target: "/inbound/demo".into(),
        content_type: String::new(),
        body: vec![b'x'; 1000],
        received_at: chrono::DateTime::UNIX_EPOCH,
        trace: Default::default(),
    }
}

/// The file as a process opens it that takes this for the time of day.
async fn file(path: &Path, config: &EmbeddedConfig, time: SystemTime) -> (SqliteConnection, Clock) {
    let clock = Clock::at(time);
    (schema::open(path, config, clock.now()).await.expect("a file"), clock)
}

async fn over(connection: SqliteConnection, config: EmbeddedConfig, clock: Clock) -> EmbeddedStream {
    let known = KnownIds::new(config.most_ids);
    EmbeddedStream::over(connection, config, clock, known).await.expect("a stream")
}

async fn open_at(path: &Path, time: SystemTime) -> EmbeddedStream {
    let config = EmbeddedConfig::default();
    let (connection, clock) = file(path, &config, time).await;
    over(connection, config, clock).await
}

#[tokio::test]
async fn a_disk_without_room_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = EmbeddedConfig::default();
    let path = folder.path().join("stream.db");
    let (mut connection, clock) = file(&path, &config, SystemTime::now()).await;
    // SQLite then says what it says when the disk is full.
    sqlx::raw_sql("PRAGMA max_page_count = 60").execute(&mut connection).await.expect("a limit");
    let stream = over(connection, config, clock).await;

    let mut accepted = Vec::new();
    for number in 0..200 {
        match stream.publish(&event(number), 0).await {
            Ok(published) => accepted.push(published.sequence),
            Err(error) => assert_eq!(error, PublishError::Full),
        }
    }
    assert!((10..190).contains(&accepted.len()), "{} were accepted", accepted.len());
    let mut consumer = stream.consume(0).await.expect("a consumer");
    let deliveries = consumer.fetch(1000, Duration::from_secs(5)).await.expect("what was accepted");
    assert_eq!(deliveries.iter().map(|delivery| delivery.sequence).collect::<Vec<_>>(), accepted);
    ack_all(deliveries).await.expect("acknowledged");
    let again = stream.publish(&event(199), 0).await.expect("there is room again");
    assert!(!again.duplicate, "what was refused is not remembered");
}

#[tokio::test]
async fn a_transaction_that_the_file_ended_by_itself_costs_that_group_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let config = EmbeddedConfig::default();
    let (mut connection, clock) = file(&path, &config, SystemTime::now()).await;
    // What a full disk does to a transaction that is under way.
    let ends_it = "CREATE TRIGGER full BEFORE INSERT ON payload WHEN NEW.dedupe_id LIKE '%bad' \
                   BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
    sqlx::raw_sql(ends_it).execute(&mut connection).await.expect("a trigger");
    let stream = over(connection, config.clone(), clock).await;
    let mut bad = event(0);
    bad.dedupe_id = DedupeId::new("bad").expect("an id");
    for number in 1..4 {
        assert!(stream.publish(&bad, 0).await.is_err());
        assert!(!stream.connected(), "what cannot be written is not ready");
        stream.publish(&event(number), 0).await.expect("stored");
        assert!(stream.connected());
    }
    stream.close().await;
    let stream = EmbeddedStream::open(&path, config).await.expect("the same file");
    let mut consumer = stream.consume(0).await.expect("a consumer");
    let stored = consumer.fetch(10, Duration::from_secs(5)).await.expect("what was accepted");
    assert_eq!(stored.len(), 3);
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn what_was_put_off_under_a_wrong_clock_comes_to_the_next_process_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let stream = open_at(&path, SystemTime::now() + 365 * DAY).await;
    stream.publish(&event(1), 0).await.expect("stored");
    let mut consumer = stream.consume(0).await.expect("a consumer");
    let delivery = consumer.fetch(1, Duration::from_secs(5)).await.expect("a fetch").remove(0);
    delivery.retry(Duration::from_secs(60)).await.expect("put off");
    stream.close().await;

    let stream = open_at(&path, SystemTime::now()).await;
    let mut consumer = stream.consume(0).await.expect("a consumer");
    assert_eq!(consumer.fetch(1, Duration::ZERO).await.expect("a fetch").len(), 1);
}

#[tokio::test]
async fn the_age_of_what_waits_is_told_by_the_clock_that_stamped_it() {
    let folder = tempfile::tempdir().expect("a folder");
    // As after a sleep of the machine or a step of its time: what this process takes for now is a day ago elsewhere.
    let stream = open_at(&folder.path().join("stream.db"), SystemTime::now() - DAY).await;
    assert_eq!(stream.standing().await.expect("a count").waiting, None);
    stream.publish(&event(1), 0).await.expect("stored");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let waiting = stream.standing().await.expect("a count").waiting.expect("one waits");
    assert!((Duration::from_millis(20)..DAY / 2).contains(&waiting), "{waiting:?}");
}

#[tokio::test]
async fn what_was_put_off_once_is_counted_apart_and_is_no_longer_what_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    let stream = open_at(&path, SystemTime::now()).await;
    stream.publish(&event(1), 0).await.expect("stored");
    let mut consumer = stream.consume(0).await.expect("a consumer");
    // Given back at once it waits on; put off it does not, whatever becomes of it later.
    for (after, waits) in [(Duration::ZERO, true), (Duration::from_millis(1), false), (Duration::ZERO, false)]
    {
        let delivery = consumer.fetch(1, Duration::from_secs(5)).await.expect("a fetch").remove(0);
        delivery.retry(after).await.expect("given back");
        let standing = stream.standing().await.expect("a count");
        assert_eq!((standing.waiting.is_some(), standing.put_off), (waits, u64::from(!waits)), "{after:?}");
    }
    stream.close().await;
    let standing = open_at(&path, SystemTime::now()).await.standing().await.expect("a count");
    assert_eq!((standing.waiting, standing.put_off, standing.shards[0].messages), (None, 1, 1));
}

/// Three events are a rush that lasts longer than any test.
fn rushing(rush_wait: Duration) -> EmbeddedConfig {
    EmbeddedConfig { rush: 3, rush_within: Duration::from_secs(600), rush_wait, ..EmbeddedConfig::default() }
}

/// How long fetching takes, and what comes.
async fn fetched(stream: &EmbeddedStream, wait: Duration) -> (Duration, Vec<u64>) {
    let (mut consumer, start) = (stream.consume(0).await.expect("a consumer"), Instant::now());
    let deliveries = consumer.fetch(10, wait).await.expect("an answer");
    (start.elapsed(), deliveries.iter().map(|delivery| delivery.sequence).collect())
}

#[tokio::test]
async fn who_takes_events_gives_way_to_a_rush_and_gets_them_all_the_same() {
    let (folder, rush_wait) = (tempfile::tempdir().expect("a folder"), Duration::from_millis(50));
    let path = folder.path().join("stream.db");
    let stream = EmbeddedStream::open(&path, rushing(rush_wait)).await.expect("a stream");
    for number in 0..3 {
        stream.publish(&event(number), 0).await.expect("stored");
    }
    let (took, sequences) = fetched(&stream, Duration::from_secs(60)).await;
    assert_eq!(sequences, [1, 2, 3]);
    assert!(took >= rush_wait, "{took:?}");
}

#[tokio::test]
async fn who_takes_events_is_not_kept_where_few_are_new_or_much_waits_already_or_nobody_would_wait() {
    let (folder, minute) = (tempfile::tempdir().expect("a folder"), Duration::from_secs(60));
    let open = async |name: &str, config| {
        EmbeddedStream::open(&folder.path().join(name), config).await.expect("a stream")
    };
    let repeated = open("repeated.db", rushing(minute)).await;
    // A fifth of it is one event and a half, so two wait before there could be a rush.
    let filled = open("filled.db", EmbeddedConfig { max_bytes: 9_000, ..rushing(minute) }).await;
    for number in 0..6 {
        repeated.publish(&event(0), 0).await.expect("stored");
        filled.publish(&event(number), 0).await.expect("stored");
    }
    for (stream, all) in [(repeated, vec![1]), (filled, vec![1, 2, 3, 4, 5, 6])] {
        let (took, sequences) = fetched(&stream, minute).await;
        assert_eq!(sequences, all);
        assert!(took < minute, "it was kept");
    }

    let rushed = open("rushed.db", rushing(minute)).await;
    for number in 0..3 {
        rushed.publish(&event(number), 0).await.expect("stored");
    }
    assert_eq!(fetched(&rushed, Duration::ZERO).await.1, [1, 2, 3]);
}
