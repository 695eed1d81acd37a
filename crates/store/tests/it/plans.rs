//! PostgreSQL keeps the plan of a prepared statement, and tables grow meanwhile.

use std::time::Duration;

use casewire_store::{Claim, LookFor};
use sqlx::{Connection, PgConnection};

use crate::bench::{Bench, claim, sid, text};

/// Enough for a plan that reads a whole table to show, and few enough for a second or two.
const BATCHES: u32 = 30;
const TEXTS: u32 = 200;
/// So few that they are on one page.
const SMALL: u32 = 30;

/// Rows of a table that were read, by any plan.
const READ: &str = "select relname::text, (seq_tup_read + coalesce((select sum(idx_tup_read) \
    from pg_stat_user_indexes i where i.relid = t.relid), 0))::bigint from pg_stat_user_tables t \
    where relname in ('contact', 'conversation', 'case', 'message', 'event', 'outbox')";

#[tokio::test]
async fn a_statement_planned_on_empty_tables_reads_no_whole_table_once_they_are_full() {
    assert_eq!(read_whole(&Bench::postgres().await).await, [""; 0]);
}

#[tokio::test]
async fn a_statement_planned_on_small_tables_reads_no_whole_table_once_they_are_full() {
    let bench = Bench::postgres().await;
    for n in 0..SMALL {
        bench.placed(&format!("+1206{:07}", 3_000_000 + n), "my heater is broken").await;
    }
    let mut connection = PgConnection::connect(&bench.config.url).await.unwrap();
    sqlx::query("analyze").execute(&mut connection).await.unwrap();
    // A claim that was planned so sorts all that waits, until the outbox is analyzed again.
    assert_eq!(read_whole(&bench).await, ["outbox"]);
}

/// Tables of which a batch read more than what its texts are about, once they were full.
async fn read_whole(bench: &Bench) -> Vec<String> {
    // One connection, so that every batch meets the plans that the first ones left.
    let store = bench.reopened(|config| config.max_connections = 1).await;
    for batch in 0..BATCHES {
        let from = |n| format!("+1206{:07}", 2_000_000 + batch * TEXTS + n);
        let texts = (0..TEXTS).map(|n| text("main", &from(n), "my heater is broken", &sid()));
        store.handle(texts.collect::<Vec<_>>()).await.unwrap();
        store.claim(Claim { most: 1, ..claim() }).await.unwrap();
        store.lost_attempts(1).await.unwrap();
        let minute = Duration::from_secs(60);
        let look = LookFor { most: 1, after: vec![Duration::ZERO], lease: minute, paused: Vec::new() };
        store.due_uncertain(look).await.unwrap();
    }
    // A connection tells what it read when it ends, at the latest.
    store.close().await;
    let mut connection = PgConnection::connect(&bench.config.url).await.unwrap();
    let read: Vec<(String, i64)> = sqlx::query_as(READ).fetch_all(&mut connection).await.unwrap();
    assert_eq!(read.len(), 6);
    let whole = read.into_iter().filter(|(_, rows)| rows / i64::from(BATCHES * TEXTS) >= 12);
    whole.map(|(table, _)| table).collect()
}
