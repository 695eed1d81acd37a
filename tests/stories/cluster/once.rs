//! The same thing many times over, and many things at once.

use std::time::Duration;

use futures_util::future::join_all;

use crate::kit::{Cluster, message_sid, person, say};

/// Longest wait for everything to be done.
const SETTLED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_delivered_fifty_times_across_a_restart_of_the_stream_is_one_message() {
    let window = Duration::from_secs(1);
    let cluster = Cluster::plan().set("STREAM__DUPLICATE_WINDOW", "1s").start().await;
    let (sid, from) = (message_sid(), person(1));
    let deliver =
        async || assert!(cluster.books.deliver(&cluster.hook, &sid, &from, "my heater is broken").await);
    // Sixteen clients: while the stream runs, while it is killed, and long after it has forgotten the text.
    join_all((0..16).map(|_| deliver())).await;
    let restart = async {
        cluster.nats.kill().unwrap();
        cluster.nats.restart().await.unwrap();
    };
    tokio::join!(restart, join_all((0..16).map(|_| deliver())));
    cluster.settle(SETTLED).await;
    tokio::time::sleep(2 * window).await;
    join_all((0..18).map(|_| deliver())).await;
    cluster.settle(SETTLED).await;
    let repeats = cluster.workers[0]
        .metric("casewire_messages_processed_total{consumer=\"work\",disposition=\"duplicate\"}")
        .await;
    assert!(repeats >= 1.0, "the stream had forgotten the text, the database had not");
    let figures = cluster.check(0).await;
    assert_eq!((figures.taken, figures.cases, figures.sent, figures.uncertain), (1, 1, 1, 0));
    assert!(figures.requests >= 50);
    say(&format!("one SID, stored again {repeats} times: {figures}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_first_texts_at_once_before_four_workers_make_one_case() {
    // Small batches, so that every worker has its part of the sender's texts at the same time.
    let cluster = Cluster::plan().workers(4).set("WORKER__BATCH_SIZE", "4").start().await;
    let texts =
        (0..64).map(|n| {
            let cluster = &cluster;
            async move {
                cluster.books.deliver(&cluster.hook, &message_sid(), &person(2), &format!("text {n}")).await
            }
        });
    assert!(join_all(texts).await.into_iter().all(|taken| taken));
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!((figures.taken, figures.cases, figures.sent, figures.uncertain), (64, 1, 1, 0));
    let in_it =
        "select count(*) from message where direction = 'inbound' and case_id = (select id from \"case\")";
    assert_eq!(cluster.count(in_it).await, 64);
    let mut at_work = 0;
    for worker in &cluster.workers {
        let done =
            worker.metric("casewire_messages_processed_total{consumer=\"work\",disposition=\"done\"}").await;
        at_work += usize::from(done > 0.0);
    }
    assert!(at_work > 1, "one worker did it all");
    say(&format!("64 first texts at once before {at_work} workers: {figures}"));
}
