//! SIGTERM under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use casewire_simulator::{Fault, Rule};
use reqwest::StatusCode;

use crate::kit::{Cluster, Desk, Role, message_sid, person, say};

const CLIENTS: u64 = 8;
/// Between two texts of a client: together about 100 a second.
const PAUSE: Duration = Duration::from_millis(80);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_asked_to_end_finishes_what_it_has_and_loses_nothing() {
    let cluster = Arc::new(Cluster::plan().ingests(2).workers(2).desks(1).start().await);
    // The provider answers late, so that texts are under way at any moment.
    let late = Fault::DelayCallbacks { min_ms: 100, max_ms: 500 };
    let rules = [late, Fault::CallbackBeforeAnswer].map(Rule::always).to_vec();
    cluster.simulator.set_faults(rules).unwrap();
    let token = cluster.command(&["token", "create", "--name", "a story"]).await;
    let desk = &cluster.desks[0];
    let agent = Desk::new(&desk.url(), &token);

    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS).map(|n| tokio::spawn(text(cluster.clone(), n, done.clone()))).collect();
    let mut told = Vec::new();
    for role in [&cluster.ingests[0], &cluster.workers[0], &cluster.ingests[1], &cluster.workers[1]] {
        flow(&cluster).await;
        told.push(end_of(role).await);
        role.start().await;
    }
    // With a page that follows what happens, and would for ever.
    let live = agent.get("/events").send().await.unwrap();
    assert_eq!((live.status(), agent.cases("").await.is_empty()), (StatusCode::OK, false));
    told.push(end_of(desk).await);
    assert!(live.bytes().await.is_ok(), "the page's connection is ended in order");
    desk.start().await;
    assert!(!agent.cases("").await.is_empty());

    done.store(true, Ordering::Release);
    for client in clients {
        client.await.unwrap();
    }
    cluster.settle(Duration::from_secs(60)).await;
    let figures = cluster.check(0).await;
    assert_eq!(figures.taken, figures.texts, "every text was taken");
    assert_eq!(figures.uncertain, 0, "every text under way was finished");
    say(&format!("{}: {figures}", told.join(", ")));
}

/// What one client does until the end: texts, each of another person.
async fn text(cluster: Arc<Cluster>, client: u64, done: Arc<AtomicBool>) {
    for n in (client..).step_by(usize::try_from(CLIENTS).unwrap()) {
        if done.load(Ordering::Acquire) {
            return;
        }
        cluster.books.deliver(&cluster.hook, &message_sid(), &person(n), "is anybody there?").await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until two hundred texts more have been taken.
async fn flow(cluster: &Cluster) {
    let before = cluster.books.taken();
    let flowed = async || cluster.books.taken() >= before + 200;
    casewire_testkit::eventually("texts flow", Duration::from_secs(60), flowed).await.unwrap();
}

/// Asks a role to end, and tells how long it took.
async fn end_of(role: &Role) -> String {
    format!("{} ended in {:.2?}", role.name, role.end().await)
}
