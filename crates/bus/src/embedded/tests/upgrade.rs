use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::*;

/// As casewire made it before ids were kept in order of storing, but for `put_off`, which came later still.
const VERSION_1: &str = "
    CREATE TABLE entry (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        shard INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        visible_at INTEGER NOT NULL,
        leased INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE payload (
        sequence INTEGER PRIMARY KEY,
        dedupe_id TEXT NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE dedupe (
        id TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        stored_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX dedupe_stored_at ON dedupe (stored_at);
    PRAGMA user_version = 1;
";
const PUT_OFF: &str = "ALTER TABLE entry ADD COLUMN put_off INTEGER NOT NULL DEFAULT 0";

/// A file of version 1 in which five events were stored and the first two handled.
async fn earlier(path: &Path, with_put_off: bool) {
    let mut file =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.expect("a file");
    sqlx::raw_sql(VERSION_1).execute(&mut file).await.expect("tables");
    if with_put_off {
        sqlx::raw_sql(PUT_OFF).execute(&mut file).await.expect("a column");
    }
    let now = Clock::start().now();
    for number in 1..=5 {
        let event = event(number);
        let id = event.dedupe_id.as_str();
        sqlx::query(
            "INSERT INTO entry (sequence, shard, stored_at, visible_at, size) VALUES (?1, 0, ?2, ?2, 1200);
             INSERT INTO payload VALUES (?1, ?3, ?4);
             INSERT INTO dedupe VALUES (?3, ?1, ?2)",
        )
        .bind(i64::try_from(number).expect("small"))
        .bind(now)
        .bind(id)
        .bind(casewire_proto::encode(&event))
        .execute(&mut file)
        .await
        .expect("a row");
    }
    let handled = "DELETE FROM entry WHERE sequence <= 2; DELETE FROM payload WHERE sequence <= 2";
    sqlx::raw_sql(handled).execute(&mut file).await.expect("handled");
    file.close().await.expect("closed");
}

#[tokio::test]
async fn a_file_of_an_earlier_casewire_is_upgraded_with_all_it_holds() {
    for with_put_off in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stream.db");
        earlier(&path, with_put_off).await;
        // Once upgraded it is opened like any other.
        for start in 0..2 {
            let stream = open_at(&path, SystemTime::now()).await;
            for number in 1..=5 {
                let published = stream.publish(&event(number), 0).await.expect("an answer");
                let first = u64::try_from(number).expect("small");
                assert_eq!(published, Published { sequence: first, duplicate: true }, "start {start}");
            }
            let standing = stream.standing().await.expect("a count");
            assert!(standing.put_off == 0 && standing.waiting.is_some(), "{standing:?}");
            let mut consumer = stream.consume(0).await.expect("a consumer");
            let deliveries = consumer.fetch(9, Duration::ZERO).await.expect("what was not handled");
            let came: Vec<_> = deliveries.iter().map(|delivery| delivery.sequence).collect();
            assert_eq!(came, [3, 4, 5], "start {start}");
            stream.close().await;
        }
        let stream = open_at(&path, SystemTime::now()).await;
        let next = stream.publish(&event(6), 0).await.expect("stored");
        assert_eq!(next, Published { sequence: 6, duplicate: false });
    }
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.db");
    earlier(&path, false).await;
    let in_its_way = "CREATE TABLE dedupe_by_id (there INTEGER)";
    change(&path, in_its_way).await;
    let refused = EmbeddedStream::open(&path, EmbeddedConfig::default()).await;
    assert!(matches!(refused, Err(OpenError::Database(_))));
    change(&path, "DROP TABLE dedupe_by_id").await;
    let stream = open_at(&path, SystemTime::now()).await;
    assert!(stream.publish(&event(1), 0).await.expect("an answer").duplicate);
}

async fn change(path: &Path, statement: &'static str) {
    let mut file = SqliteConnectOptions::new().filename(path).connect().await.expect("the file");
    sqlx::raw_sql(statement).execute(&mut file).await.expect("changed");
    file.close().await.expect("closed");
}
