use std::path::Path;

use tokio::sync::oneshot;

use super::super::schema;
use super::*;

async fn writer(path: &Path) -> Writer {
    let (config, clock) = (EmbeddedConfig::default(), Clock::start());
    let connection = schema::open(path, &config, clock.now()).await.expect("a file");
    let (_, requests) = mpsc::channel(1);
    let arrivals = [watch::Sender::new(())].into();
    let known = KnownIds::new(config.most_ids);
    let told = Told { arrivals, writing: Arc::default(), gauge: Gauge::of(&config) };
    Writer::new(connection, requests, told, config, clock, known).await.expect("a writer")
}

fn publishes(ids: &[&str]) -> Group {
    let publish = |id: &&str| {
        let (reply, _) = oneshot::channel();
        Request::Publish(Publish { shard: 0, dedupe_id: (*id).to_owned(), payload: vec![1], reply })
    };
    Group::of(&mut ids.iter().map(publish).collect())
}

async fn told(writer: &mut Writer, ids: &[&str]) -> sqlx::Result<Vec<(u64, bool)>> {
    let published = writer.commit(&publishes(ids)).await?.published.into_iter();
    Ok(published
        .map(|answer| answer.expect("an answer"))
        .map(|told| (told.sequence, told.duplicate))
        .collect())
}

#[tokio::test]
async fn an_id_of_a_commit_that_failed_and_is_in_the_file_all_the_same_is_recognised() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = writer(&folder.path().join("stream.db")).await;
    assert_eq!(told(&mut writer, &["a"]).await.expect("stored"), [(1, false)]);
    // What memory was before the next commit, as after one that failed.
    let (before, mut known) = (writer.ledger.clone(), KnownIds::new(9));
    known.read(&mut writer.connection, 0).await.expect("read");
    assert_eq!(told(&mut writer, &["b", "c"]).await.expect("stored"), [(2, false), (3, false)]);
    (writer.ledger, writer.known) = (before, known);

    told(&mut writer, &["b", "d"]).await.expect_err("no sequence is used again");
    writer.look_again().await;
    let told = told(&mut writer, &["b", "d", "c", "a"]).await.expect("stored");
    assert_eq!(told, [(2, true), (4, false), (3, true), (1, true)]);
}

#[tokio::test]
async fn a_group_that_fails_half_way_stores_nothing_whatever_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = writer(&folder.path().join("stream.db")).await;
    let refuses = "CREATE TRIGGER refuses BEFORE INSERT ON dedupe WHEN NEW.id = 'bad' \
                   BEGIN SELECT RAISE(FAIL, 'what was stored before stays where nobody rolls back'); END";
    sqlx::raw_sql(refuses).execute(&mut writer.connection).await.expect("a trigger");
    assert_eq!(told(&mut writer, &["a"]).await.expect("stored"), [(1, false)]);
    // All new, which is a transaction of one statement, and one that is known among them.
    for group in [&["b", "bad"][..], &["a", "b", "bad"]] {
        told(&mut writer, group).await.expect_err("refused");
        writer.look_again().await;
    }
    assert_eq!(told(&mut writer, &["b", "c"]).await.expect("stored"), [(2, false), (3, false)]);
    assert_eq!(told(&mut writer, &["a", "c", "b"]).await.expect("stored"), [(1, true), (3, true), (2, true)]);
}
