//! The end of a process beside a server that is frozen: neither its deadline nor a second signal waits for that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use casewire_testkit::eventually_some;

use crate::kit::{Cluster, message_sid, person, say};

/// `server.close_timeout`, and what a busy machine needs for the rest.
const AND_A_LITTLE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_ends_although_its_database_is_frozen_and_a_second_signal_hurries_it() {
    let drain = Duration::from_secs(15);
    let plan = Cluster::plan().with_own_postgres().workers(2).set("SERVER__DRAIN_TIMEOUT", "15s");
    let cluster = Arc::new(plan.start().await);
    let holder = cluster.clone();
    let hold = "begin; lock table outbox in access exclusive mode; select pg_sleep(30)";
    let held = tokio::spawn(async move { holder.sql(hold).await });
    // Three tasks of a worker look into the outbox, so that both are in transactions now.
    let waiting = "select count(*) from pg_stat_activity where application_name = 'casewire' and wait_event_type = 'Lock'";
    cluster.wait_for("the workers wait", waiting, AND_A_LITTLE, |workers| workers > 3).await;
    cluster.database.server.pause().await.unwrap();
    for n in 0..10 {
        cluster.books.send(&cluster.hook, &message_sid(), &person(n), "is anybody there?").await;
    }
    let (patient, hurried) = (cluster.workers[0].process(), cluster.workers[1].process());
    let begun = Instant::now();
    for worker in [&patient, &hurried] {
        worker.terminate().unwrap();
        worker.wait_for_line("\"shutdown\"", AND_A_LITTLE).await.unwrap();
    }
    // A second signal that comes before `server.unready_time` is over ends only that; it is sent until it counts.
    let ended = eventually_some("a further signal ends it", drain / 2, async || {
        hurried.terminate().unwrap();
        hurried.wait(Duration::from_secs(1)).await.ok()
    });
    let ended = ended.await.unwrap();
    let at_once = begun.elapsed();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stdout);
    assert!(patient.is_running().unwrap(), "the other has its time still");
    let ended = patient.wait(drain + AND_A_LITTLE).await.unwrap();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stdout);
    say(&format!("one ended after {at_once:.1?}, the other after {:.1?}", begun.elapsed()));
    cluster.database.server.resume().unwrap();
    held.await.unwrap();
    for worker in &cluster.workers {
        worker.start().await;
    }
    cluster.settle(Duration::from_secs(60)).await;
    assert_eq!(cluster.check(0).await.taken, 10);
}
