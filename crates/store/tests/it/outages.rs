//! A database that is in trouble, and what is said of it: nothing is held against a text that is not its fault.

use std::time::Duration;

use casewire_domain::case::CaseStatus;
use casewire_domain::command::Command;
use casewire_store::{Config, Error, Store};
use casewire_testkit::{Postgres, eventually};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::bench::{Bench, HEATHER, IAN, sid, text};
use crate::on_both;

on_both! {
    a_database_that_does_not_answer_is_unavailable_in_time_and_nothing_is_doubled
    a_table_that_is_gone_is_held_against_nobody
    a_row_the_database_refuses_is_told_apart
    what_is_in_the_way_for_good_is_a_refusal
}

/// A network before the database that can lose what is under way without a word: new connections work.
struct Network {
    port: u16,
    lose: watch::Sender<()>,
}

impl Network {
    async fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let network = Self { port: listener.local_addr().unwrap().port(), lose: watch::Sender::new(()) };
        let lose = network.lose.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut lost = lose.subscribe();
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        // Both ends stay open, and hear nothing any more.
                        _ = lost.changed() => std::future::pending().await,
                    }
                });
            }
        });
        network
    }
}

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(10);

/// A store whose connections go over such a network: two, beside those that are kept for batches.
async fn behind_a_network(kept: u32) -> (Bench, Network, Store) {
    let bench = Bench::postgres().await;
    let server = Postgres::shared().await.unwrap().port();
    let network = Network::before(server).await;
    let bounds = |config: &mut Config| {
        config.url = config.url.replace(&format!(":{server}/"), &format!(":{}/", network.port));
        (config.max_connections, config.batch_connections) = (2 + kept, kept);
        config.acquire_timeout = SECOND;
        config.transaction_timeout = 2 * SECOND;
    };
    let store = bench.reopened(bounds).await;
    (bench, network, store)
}

/// How many connections to a bench's database wait for a lock: open, and in the middle of something.
async fn waiting_for_locks(bench: &Bench) -> String {
    let server = Postgres::shared().await.unwrap();
    let database = bench.config.url.rsplit('/').next().unwrap();
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    server.sql(database, waiting).await.unwrap().trim().to_owned()
}

/// Has two connections of a store at work while somebody holds this lock, all that there are for that, and loses them;
/// texts are handled all the same.
async fn lost_at_work<F>(kept: u32, lock: &'static str, work: impl Fn(Store, &'static str) -> F)
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (bench, network, store) = behind_a_network(kept).await;
    let mut intruder = bench.intruder().await;
    intruder.run(lock, lock).await;
    let at_work = [HEATHER, IAN].map(|from| tokio::spawn(work(store.clone(), from)));
    eventually("both wait for the lock", SOON, async || waiting_for_locks(&bench).await == "2")
        .await
        .unwrap();
    network.lose.send(()).unwrap();
    for one in at_work {
        let lost = one.await.unwrap().err().unwrap();
        assert!(lost.is_retryable() && !lost.blames_input(), "{lost}");
    }
    intruder.run("rollback", "rollback").await;
    let other = async || store.handle_one(text("main", "+12065550102", "hello", &sid())).await.is_ok();
    eventually("others take their place", SOON, other).await.unwrap();
}

#[tokio::test]
async fn batches_that_wait_for_locks_take_only_the_connections_that_are_kept_for_them() {
    let bench = Bench::postgres().await;
    let bounds = |config: &mut Config| {
        (config.max_connections, config.batch_connections) = (4, 2);
        config.acquire_timeout = SECOND;
    };
    let store = bench.reopened(bounds).await;
    for from in [HEATHER, IAN] {
        bench.placed(from, "hello").await;
    }
    let mut intruder = bench.intruder().await;
    let lock = "begin; select 1 from conversation for update";
    intruder.run(lock, lock).await;
    let others = bench.placed("+12065550102", "hello").await;
    let batch = |from| {
        let store = store.clone();
        tokio::spawn(async move { store.handle_one(text("main", from, "hello?", &sid())).await })
    };
    let at_work = [HEATHER, IAN].map(batch);
    eventually("both are at work", SOON, async || store.pool().used == 2).await.unwrap();
    let mut third = batch("+12065550103");
    let early = timeout(2 * SECOND, &mut third).await;
    assert!(early.is_err(), "it waits for its turn, and longer than for a connection: {early:?}");
    assert_eq!((store.pool().used, store.pool().waiting, store.pool().most), (2, 0, 4));
    let close = Command::SetStatus { case: others, status: CaseStatus::Closed, actor: "agent:test".into() };
    store.handle_one(close).await.expect("what agents do goes over other connections");
    intruder.run("rollback", "rollback").await;
    for batch in at_work.into_iter().chain([third]) {
        batch.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn transactions_whose_connections_fall_silent_are_given_up_and_others_take_their_place() {
    lost_at_work(0, HELD_FROM_BATCHES, batch).await;
}

#[tokio::test]
async fn batches_whose_own_connections_fall_silent_are_given_up_and_others_have_their_turn() {
    lost_at_work(2, HELD_FROM_BATCHES, batch).await;
}

const HELD_FROM_BATCHES: &str = "begin; lock table conversation";

async fn batch(store: Store, from: &'static str) -> Result<(), Error> {
    store.handle_one(text("main", from, "hello", &sid())).await.map(drop)
}

#[tokio::test]
async fn readings_whose_connections_fall_silent_are_given_up_and_others_take_their_place() {
    lost_at_work(0, "begin; lock table request", |store, _| async move {
        store.open_reconciliation().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_falls_silent_just_after_it_was_used_costs_a_reading_its_time_and_no_more() {
    let (_bench, network, store) = behind_a_network(0).await;
    store.trail_end().await.unwrap();
    eventually("the connection is back", SOON, async || store.pool().used == 0).await.unwrap();
    network.lose.send(()).unwrap();
    let read = timeout(SOON, store.trail_end()).await.expect("it is given up");
    // On a machine so slow that the connection is asked first, it is replaced and nothing is lost.
    if let Err(lost) = read {
        assert!(lost.is_retryable() && !lost.blames_input(), "{lost}");
    }
    let other = async || store.trail_end().await.is_ok();
    eventually("another takes its place", SOON, other).await.unwrap();
}

mod story {
    use std::time::{Duration, Instant};

    use casewire_domain::decide::Outcome;
    use casewire_store::Error;

    use crate::bench::{Bench, HEATHER, IAN, sid, text};

    pub(super) async fn a_database_that_does_not_answer_is_unavailable_in_time_and_nothing_is_doubled(
        bench: Bench,
    ) {
        let store = bench.reopened(|config| config.transaction_timeout = Duration::from_millis(200)).await;
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let mut intruder = bench.intruder().await;
        intruder.run("begin immediate", "begin; lock table conversation").await;
        let again = text("main", HEATHER, "hello?", &sid());
        let begun = Instant::now();
        let refused = store.handle_one(again.clone()).await.unwrap_err();
        assert!(refused.is_retryable() && !refused.blames_input(), "{refused}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        intruder.run("rollback", "rollback").await;
        let placed = casewire_testkit::eventually_some("it is back", Duration::from_secs(10), || async {
            store.handle_one(again.clone()).await.ok()
        });
        // The first try may have gone through after nobody waited for it any more.
        assert!(matches!(placed.await.unwrap(), Outcome::Placed { .. } | Outcome::Duplicate));
        let view = bench.case(case).await;
        assert_eq!(view.messages.iter().filter(|m| m.message.body.reveal() == "hello?").count(), 1);
    }

    pub(super) async fn a_table_that_is_gone_is_held_against_nobody(bench: Bench) {
        let mut intruder = bench.intruder().await;
        let away = "alter table suppression rename to elsewhere";
        intruder.run(away, away).await;
        let refused = bench.store.handle_one(text("main", HEATHER, "hello", &sid())).await.unwrap_err();
        assert!(matches!(refused, Error::Schema(_)), "{refused}");
        assert!(!refused.blames_input());
        let back = "alter table elsewhere rename to suppression";
        intruder.run(back, back).await;
        bench.placed(HEATHER, "hello").await;
    }

    pub(super) async fn a_row_the_database_refuses_is_told_apart(bench: Bench) {
        let mut intruder = bench.intruder().await;
        intruder
            .run(
                "create trigger picky before insert on message when new.body = 'poison' \
                 begin select raise(abort, 'no'); end",
                "alter table message add check (body <> 'poison')",
            )
            .await;
        let batch = vec![text("main", HEATHER, "poison", &sid()), text("main", IAN, "hello", &sid())];
        let refused = bench.store.handle(batch).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(_)) && refused.blames_input(), "{refused}");
        bench.placed(IAN, "hello").await;
    }

    pub(super) async fn what_is_in_the_way_for_good_is_a_refusal(bench: Bench) {
        let mut intruder = bench.intruder().await;
        let unique = "create unique index picky on message (body)";
        intruder.run(unique, unique).await;
        bench.placed(HEATHER, "hello").await;
        let refused = bench.store.handle_one(text("main", HEATHER, "hello", &sid())).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(_)) && refused.blames_input(), "{refused}");
    }
}
