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
    let repeats = cluster.workers[0].metric(&processed("duplicate")).await;
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
    // Somebody new, who has to be made known first.
    sixty_four_at_once(&cluster, 1).await;
    let figures = cluster.check(0).await;
    assert_eq!((figures.taken, figures.cases, figures.sent, figures.uncertain), (64, 1, 1, 0));
    // Somebody known, by a request for help that the provider answers: nothing but the lane keeps workers apart.
    let help = cluster.hook.text(&message_sid(), &person(2), "HELP").await.unwrap();
    assert_eq!(help.status(), 200);
    let known = "select count(*) from message where case_id is null";
    cluster.wait_for("the request is recorded", known, SETTLED, |known| known == 1).await;
    sixty_four_at_once(&cluster, 2).await;
    let cases = "select count(*) from message where direction = 'inbound' group by case_id order by 1";
    assert_eq!(cluster.sql(cases).await, ["1", "64", "64"], "each case has its texts");
    assert_eq!(cluster.sends().len(), 2);
    let mut at_work = 0;
    for worker in &cluster.workers {
        at_work += usize::from(worker.metric(&processed("done")).await > 0.0);
    }
    assert!(at_work > 1, "one worker did it all");
    say(&format!("64 first texts at once, twice, before {at_work} workers: {figures}"));
}

async fn sixty_four_at_once(cluster: &Cluster, from: u64) {
    let text = async |n| {
        assert!(
            cluster.books.deliver(&cluster.hook, &message_sid(), &person(from), &format!("text {n}")).await
        );
    };
    join_all((0..64).map(text)).await;
    cluster.settle(SETTLED).await;
}

/// The worker's count of events with which it did this.
fn processed(disposition: &str) -> String {
    format!("casewire_messages_processed_total{{consumer=\"work\",disposition=\"{disposition}\"}}")
}
