//! kill -9 of everything in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use casewire_simulator::{Fault, Rule};

use crate::kit::{Cluster, Dice, Role, message_sid, person, say};

const TEXTS: usize = 5_000;
/// Texts are sent no faster, so that there is time for kills.
const A_SECOND: u32 = 200;
/// Clients that send at the same time.
const CLIENTS: usize = 32;
/// Senders: a few text often, many seldom.
const TALKATIVE: u64 = 50;
const OTHERS: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_a_text_or_answers_one_twice() {
    let cluster = Cluster::plan()
        .ingests(2)
        .workers(2)
        // What a killed worker held comes back, and what it was sending is given up, within the test.
        .set("STREAM__ACK_WAIT", "5s")
        .set("SENDER__REQUEST_TIMEOUT", "2s")
        .set("SENDER__LEASE", "6s")
        .start()
        .await;
    cluster.simulator.set_faults(faults()).unwrap();
    let cluster = Arc::new(cluster);
    let done = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let kills = tokio::spawn(kill_in_turn(cluster.clone(), done.clone()));
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| tokio::spawn(texts_of(cluster.clone(), client, start))).collect();
    for client in clients {
        client.await.unwrap();
    }
    done.store(true, Ordering::Release);
    let kills = kills.await.unwrap();
    let flowed = start.elapsed();
    // How long it may take at most: a busy machine works off in minutes what an idle one does in seconds.
    cluster.settle(Duration::from_secs(180)).await;
    let figures = cluster.check(0).await;
    say(&format!(
        "{kills} kills in {:.1} s; settled {:.1} s later: {figures}",
        flowed.as_secs_f64(),
        (start.elapsed() - flowed).as_secs_f64()
    ));
    assert!(kills >= 6, "each of the three was killed twice");
    assert_eq!(figures.texts, TEXTS);
    assert!(figures.taken >= TEXTS * 9 / 10, "the clients' retries were enough for most");
}

/// A provider with troubles of its own: slow answers, so that there is always a request under way that a kill cuts
/// off; answers that are lost, some with all callbacks; refusals.
fn faults() -> Vec<Rule> {
    vec![
        Rule::sometimes(0.03, Fault::TooManyRequests { retry_after_s: None }),
        Rule::sometimes(0.02, Fault::ErrorAfterAccepting),
        Rule::sometimes(0.02, Fault::ResetAfterAccepting),
        Rule::sometimes(0.01, Fault::TruncatedAnswer),
        Rule::sometimes(0.5, Fault::CallbackBeforeAnswer),
        Rule::always(Fault::DelayCallbacks { min_ms: 50, max_ms: 400 }),
        Rule::sometimes(0.2, Fault::DropCallbacks),
        Rule::sometimes(0.1, Fault::DuplicateCallbacks { copies: 2 }),
    ]
}

/// What one client sends: every so many-th text, each at its time, one in twenty once more though it was taken.
async fn texts_of(cluster: Arc<Cluster>, client: usize, start: Instant) {
    let mut dice = Dice::new(client as u64);
    for n in (client..TEXTS).step_by(CLIENTS) {
        let due = start + Duration::from_secs(1) * u32::try_from(n).unwrap() / A_SECOND;
        tokio::time::sleep_until(due.into()).await;
        let sender = if dice.below(2) == 0 { dice.below(TALKATIVE) } else { TALKATIVE + dice.below(OTHERS) };
        let (sid, from) = (message_sid(), person(sender));
        cluster.books.deliver(&cluster.hook, &sid, &from, "is anybody there?").await;
        if dice.below(20) == 0 {
            cluster.books.deliver(&cluster.hook, &sid, &from, "is anybody there?").await;
        }
    }
}

/// Kills ingests, workers and the stream one after the other, starting each again; how many it killed.
async fn kill_in_turn(cluster: Arc<Cluster>, done: Arc<AtomicBool>) -> usize {
    let mut kills = 0;
    while !done.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let turn = kills / 3 % 2;
        match kills % 3 {
            0 => restart(&cluster.ingests[turn]).await,
            1 => restart(&cluster.workers[turn]).await,
            _ => {
                cluster.nats.kill().unwrap();
                cluster.nats.restart().await.unwrap();
            }
        }
        kills += 1;
    }
    kills
}

async fn restart(role: &Role) {
    role.kill();
    role.start().await;
}
