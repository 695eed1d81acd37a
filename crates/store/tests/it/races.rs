//! Transactions that meet on PostgreSQL.

use std::time::Duration;

use casewire_domain::DeliveryStatus;
use casewire_domain::decide::Outcome;
use casewire_testkit::eventually;
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::bench::{Bench, HEATHER, IAN, report, sid, text};

const DEADLINE: Duration = Duration::from_secs(30);

/// Until so many at this database wait for this kind of lock.
async fn waiting(bench: &Bench, kind: &str, count: i64) {
    let asked = "select count(*) from pg_stat_activity where datname = current_database() \
        and wait_event_type = 'Lock' and wait_event = $1";
    let observer = PgPool::connect(&bench.config.url).await.unwrap();
    let waits = async || {
        sqlx::query_scalar(asked).bind(kind).fetch_one(&observer).await.is_ok_and(|all: i64| all == count)
    };
    eventually(&format!("{count} wait for a lock of kind {kind}"), DEADLINE, waits).await.unwrap();
}

/// Holds up whoever adds to a table, until the advisory lock of this connection is gone.
async fn gate(bench: &Bench, trigger: &'static str) -> PgConnection {
    let mut gate = PgConnection::connect(&bench.config.url).await.unwrap();
    let wait = "create function wait() returns trigger language plpgsql as $$ begin
        perform pg_advisory_xact_lock(1); return null; end $$";
    gate.execute(wait).await.unwrap();
    gate.execute(trigger).await.unwrap();
    gate.execute("select pg_advisory_lock(1)").await.unwrap();
    gate
}

/// Both add to the trail of one case, and only the text has the case locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_does_not_wait_for_a_text_of_the_same_case() {
    let bench = Bench::postgres().await;
    bench.placed(HEATHER, "hello").await;
    let sent = bench.claim().await.remove(0);
    let at_events = "create trigger gate before insert on event for each statement execute function wait()";
    let mut gate = gate(&bench, at_events).await;
    let handle = |command| {
        let store = bench.store.clone();
        tokio::spawn(async move { store.handle_one(command).await })
    };
    let text = handle(text("main", HEATHER, "one more", &sid()));
    waiting(&bench, "advisory", 1).await;
    let report = handle(report("SM1", DeliveryStatus::Delivered, Some((sent.message_id, sent.attempt))));
    waiting(&bench, "advisory", 2).await;
    gate.execute("select pg_advisory_unlock(1)").await.unwrap();
    let outcomes = [text.await.unwrap().unwrap(), report.await.unwrap().unwrap()];
    assert!(matches!(outcomes, [Outcome::Placed { .. }, Outcome::Reported { .. }]), "{outcomes:?}");
}

/// Another has made a conversation of this batch meanwhile, has it locked, and waits for a contact that this batch made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_does_not_wait_for_whom_it_holds_up() {
    let bench = Bench::postgres().await;
    bench.add_line("second", "+15550002222", 100).await;
    bench.store.handle_one(text("second", HEATHER, "hello", &sid())).await.unwrap();
    let at_conversations =
        "create trigger gate before insert on conversation for each statement execute function wait()";
    let mut gate = gate(&bench, at_conversations).await;
    let store = bench.store.clone();
    let batch = [text("main", HEATHER, "one", &sid()), text("main", IAN, "two", &sid())];
    let batch = tokio::spawn(async move { store.handle(batch.to_vec()).await });
    waiting(&bench, "advisory", 1).await;
    let mut other = PgConnection::connect(&bench.config.url).await.unwrap();
    other.execute("set session_replication_role = replica").await.unwrap();
    let made = "insert into conversation (id, line_id, key, contact_id)
        select gen_random_uuid(), line.id, contact.address, contact.id from contact join line using (workspace_id)
            where webhook_id = 'main' and contact.address = $1";
    sqlx::query(made).bind(HEATHER).execute(&mut other).await.unwrap();
    other.execute("begin").await.unwrap();
    let locked = "select 1 from conversation join line on line.id = line_id
        where webhook_id = 'main' for update of conversation";
    other.execute(locked).await.unwrap();
    let other = tokio::spawn(async move {
        let contact =
            "insert into contact select gen_random_uuid(), workspace_id, $1, '', '', now() from contact
            on conflict do nothing";
        sqlx::query(contact).bind(IAN).execute(&mut other).await?;
        other.execute("commit").await
    });
    waiting(&bench, "transactionid", 1).await;
    gate.execute("select pg_advisory_unlock(1)").await.unwrap();

    other.await.unwrap().expect("the other was in nobody's way");
    let outcomes = batch.await.unwrap().unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Placed { .. })), "{outcomes:?}");
    let lanes: i64 =
        sqlx::query_scalar("select count(*) from conversation").fetch_one(&mut gate).await.unwrap();
    assert_eq!(lanes, 3, "one for each person and line");
}
