//! A server that is away: what goes on without it, and how everything comes back.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::kit::{ACCOUNT, Cluster, Hook, Role, message_sid, person, say};

const AT_ONCE: usize = 16;
const SETTLED: Duration = Duration::from_secs(60);
/// The answer of ingest while the stream is away: within Twilio's first read time-out, with room for its retries.
const NO_LATER: Duration = Duration::from_secs(3);
/// Well before anything that happens only every minute.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_texts_are_taken_and_wait() {
    let ack_wait = Duration::from_secs(3);
    let plan = Cluster::plan().with_own_postgres().workers(2).set("STREAM__ACK_WAIT", "3s");
    let cluster = plan.set("WORKER__RETRY_MOST", "2s").start().await;
    text(&cluster, 0..50).await;
    cluster.settle(SETTLED).await;
    cluster.database.server.kill().unwrap();
    let start = Instant::now();
    let slowest = text(&cluster, 30..300).await;
    // Long enough that what the workers hold is handed out once more.
    tokio::time::sleep((ack_wait * 2).saturating_sub(start.elapsed())).await;
    for worker in &cluster.workers {
        let alive = cluster.hook.client.get(worker.ops("livez")).send().await.unwrap();
        assert_eq!(alive.status(), 200, "a restart would not help");
    }
    assert!(cluster.backlog().await > Some(0));
    let seen = async || shown_waiting(&cluster.workers[0]).await > 0.0;
    casewire_testkit::eventually("a worker shows that texts wait, as an alert must know", SETTLED, seen)
        .await
        .unwrap();
    for worker in &cluster.workers {
        let unready = async || worker.metric("casewire_ready{role=\"worker\"}").await == 0.0;
        casewire_testkit::eventually("it says that it cannot work", SOON, unready).await.unwrap();
    }
    // A worker can end without the database, and begin.
    let ended = cluster.workers[1].end().await;
    cluster.workers[1].spawn();
    cluster.database.server.restart().await.unwrap();
    let back = Instant::now();
    for worker in &cluster.workers {
        worker.ready().await;
    }
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!((figures.taken, figures.texts, figures.requests), (320, 320, 320), "each was taken at once");
    say(&format!(
        "without a database the slowest answer took {slowest:.2?} and a worker's end {ended:.2?}; \
         all was done {:.1?} after it came back: {figures}",
        back.elapsed()
    ));
}

/// The events that a worker's metrics show on the stream, handed out or not.
async fn shown_waiting(worker: &Role) -> f64 {
    let mut waiting = 0.0;
    for shard in 0..4 {
        for gauge in ["pending_messages", "ack_pending_messages"] {
            let series = format!("casewire_stream_{gauge}{{stream=\"IN_{shard}\",consumer=\"work\"}}");
            waiting += worker.metric(&series).await;
        }
    }
    waiting
}

/// One text of each of these people; the longest that one took.
async fn text(cluster: &Cluster, people: std::ops::Range<u64>) -> Duration {
    let times = stream::iter(people)
        .map(async |n| {
            let start = Instant::now();
            let answer =
                cluster.books.send(&cluster.hook, &message_sid(), &person(n), "is anybody there?").await;
            assert_eq!(answer, Some(200));
            start.elapsed()
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    times.into_iter().max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_stream_the_sender_is_asked_to_come_back() {
    let cluster = Cluster::plan().ingests(2).workers(2).set("STREAM__ACK_WAIT", "5s").start().await;
    text(&cluster, 0..10).await;
    // Gone: nobody answers. Frozen: somebody might.
    cluster.nats.kill().unwrap();
    let gone = refused(&cluster, 10).await;
    // Whoever ends or begins meanwhile does so as ever.
    cluster.ingests[1].end().await;
    cluster.workers[1].end().await;
    cluster.workers[1].spawn();
    cluster.ingests[1].spawn();
    cluster.nats.restart().await.unwrap();
    cluster.workers[1].ready().await;
    cluster.ingests[1].ready().await;
    comes_back(&cluster, 10).await;
    cluster.nats.pause().await.unwrap();
    let frozen = refused(&cluster, 11).await;
    cluster.nats.resume().unwrap();
    comes_back(&cluster, 11).await;
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    say(&format!("503 after {gone:.2?} with the stream gone, after {frozen:.2?} with it frozen: {figures}"));
}

/// A text that must be put off, with the time after which to try again; how long the answer took.
async fn refused(cluster: &Cluster, from: u64) -> Duration {
    let start = Instant::now();
    let (sid, from) = (message_sid(), person(from));
    let answer = cluster.hook.text(&sid, &from, "anybody?").await.unwrap();
    let took = start.elapsed();
    cluster.books.write(&sid, &from, Some(answer.status().as_u16()));
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(took <= NO_LATER, "the answer took {took:?}");
    took
}

/// Texts are taken again, without anybody's help.
async fn comes_back(cluster: &Cluster, from: u64) -> Duration {
    let start = Instant::now();
    let sid = message_sid();
    let taken =
        async || cluster.books.send(&cluster.hook, &sid, &person(from), "there you are").await == Some(200);
    casewire_testkit::eventually("texts are taken again", SETTLED, taken).await.unwrap();
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_stream_is_made_again_and_texts_flow() {
    let cluster = Cluster::plan().ingests(2).workers(2).start().await;
    text(&cluster, 0..50).await;
    cluster.settle(SETTLED).await;
    cluster.ingests[1].kill();
    cluster.nats.wipe().unwrap();
    cluster.nats.restart().await.unwrap();
    let again = comes_back(&cluster, 50).await;
    // One that has never seen a directory finds it on the new board, and those that have follow it.
    let start = Instant::now();
    cluster.ingests[1].start().await;
    let published = start.elapsed();
    let add = ["line", "add", "--id", "second", "--number", "+15550002222", "--account-sid", ACCOUNT];
    cluster.command(&add).await;
    let start = Instant::now();
    for ingest in &cluster.ingests {
        let second = Hook { line: "second".into(), address: ingest.url(), ..cluster.hook.clone() };
        let sid = message_sid();
        let known = async || cluster.books.send(&second, &sid, &person(1), "hello").await == Some(200);
        casewire_testkit::eventually("both know the new line", SOON, known).await.unwrap();
    }
    let followed = start.elapsed();
    text(&cluster, 30..80).await;
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!(figures.taken, 103);
    say(&format!(
        "texts flowed {again:.1?} after the wipe, a new ingest was ready in {published:.1?}, \
         a new line known in {followed:.1?}: {figures}"
    ));
    assert!(published < SOON, "the new directory was put up at once, not at its next turn");
}
