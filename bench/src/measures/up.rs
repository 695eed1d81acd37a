//! `casewire up`, everything in one process on embedded storage that is synced: webhooks against Express, and a backlog
//! to cases against what SQLite itself can write.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use casewire_bus::{EmbeddedConfig, EmbeddedStream};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::ingest::CONNECTIONS;
use crate::finding::{Finding, Goal};
use crate::load::Senders;
use crate::plan::Plan;
use crate::stage::backlog;
use crate::stage::broker::{Broker, Sync};
use crate::stage::front::{Front, Turn};
use crate::stage::home::Home;
use crate::stage::line;
use crate::stage::programs::{here, last_words};

/// Texts of one transaction: casewire's own most.
const BATCH: u64 = 256;
const LOOK: Duration = Duration::from_millis(20);
const STUCK: Duration = Duration::from_secs(300);

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("up", plan.rounds * 4 + 2);
    let mut found = webhooks(plan).await?;
    found.extend(cases(plan).await?);
    Ok(found)
}

async fn webhooks(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.step("starting and warming up");
    let broker = Broker::start(Sync::Default).await?;
    let home = Home::create(&plan.programs).await?;
    let (ours, express) = (Front::up(&home).await?, Front::express(&broker, 1).await?);
    let length = plan.window();
    let mut ours = Turn::warmed(&ours, &broker, CONNECTIONS, length).await?;
    let mut express = Turn::warmed(&express, &broker, CONNECTIONS, length).await?;
    let rounds = plan
        .turns(
            plan.rounds,
            ["casewire up", "Express"],
            async || ours.closed(CONNECTIONS, length).await,
            async || express.closed(CONNECTIONS, length).await,
        )
        .await?;
    let rates = rounds.iter().map(|(ours, express)| (ours.rate, express.rate));
    let note = "every answer of `up` after an fsync, Express on NATS that syncs every two minutes";
    let late =
        format!("windows of {length:?}; `up` makes few cases while webhooks rush in, and Express makes none");
    let behind = rounds.iter().map(|(ours, _)| ours.behind);
    let goal = Goal::RatioAtLeast(5.0);
    Ok(vec![
        Finding::compared("casewire up: webhooks", "/s", "Express", rates, goal).noting(note),
        Finding::alone("casewire up: from the last of these to its case", "s", behind, Goal::None)
            .noting(late),
    ])
}

async fn cases(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.step("starting");
    let (texts, senders) = plan.size((50_000, 5_000), (3_000, 300));
    let rounds = plan
        .turns(
            plan.rounds,
            ["texts to cases", "SQLite's own limit"],
            async || work(plan, texts, senders).await,
            async || limit(plan, texts, senders).await,
        )
        .await?;
    let goal = Goal::RatioAtLeast(0.5);
    Ok(vec![Finding::compared("casewire up: texts to cases", "/s", "set-based SQLite", rounds, goal)])
}

/// Texts a second that `up` makes cases of, from a stream that was filled before its start.
async fn work(plan: &Plan, texts: u64, senders: u64) -> Result<f64> {
    let home = Home::create(&plan.programs).await?;
    let stream = EmbeddedStream::open(&home.stream(), EmbeddedConfig::default()).await?;
    let stream = std::sync::Arc::new(stream);
    let mut made = line::texts(Senders::new(senders));
    backlog::publish(stream.clone(), 1, &mut made, texts).await?;
    stream.close().await;
    drop(stream);
    let mut books = open(&home.database()).await?;
    let up = home.start().await?;
    let (began, mut first) = (Instant::now(), None);
    let rate = loop {
        tokio::time::sleep(LOOK).await;
        let now = Instant::now();
        let done = count(&mut books, "select coalesce(max(rowid), 0) from event").await?;
        match first {
            None if done > 0 => first = Some((now, done)),
            Some((since, then)) if done >= texts => {
                break (texts - then) as f64 / now.duration_since(since).as_secs_f64();
            }
            _ => {}
        }
        ensure!(began.elapsed() < STUCK, "{done} of {texts} texts after {STUCK:?}: {}", last_words(&up));
    };
    ensure!(
        count(&mut books, "select count(*) from message where case_id is null").await? == 0,
        "a text in no case"
    );
    Ok(rate)
}

/// Texts a second that SQLite itself writes, with the same settings, tables and size of a transaction.
async fn limit(plan: &Plan, texts: u64, senders: u64) -> Result<f64> {
    let home = Home::create(&plan.programs).await?;
    let mut books = open(&home.database()).await?;
    let prepare = std::fs::read_to_string(here().join("sql/sqlite-prepare.sql"))?;
    sqlx::raw_sql(AssertSqlSafe(prepare.replace("{senders}", &senders.to_string())))
        .execute(&mut books)
        .await?;
    let batch = std::fs::read_to_string(here().join("sql/sqlite-batch.sql"))?;
    let batch = batch.replace("{batch}", &BATCH.to_string()).replace("{senders}", &senders.to_string());
    let (began, batches) = (Instant::now(), texts.div_ceil(BATCH));
    for _ in 0..batches {
        sqlx::raw_sql(AssertSqlSafe(batch.clone())).execute(&mut books).await?;
    }
    let took = began.elapsed().as_secs_f64();
    let stored = count(&mut books, "select count(*) from message where direction = 'inbound'").await?;
    ensure!(stored == batches * BATCH, "{stored} texts were stored");
    Ok(stored as f64 / took)
}

/// The database with the settings that casewire gives it.
async fn open(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "8000")
        .disable_statement_logging();
    Ok(SqliteConnection::connect_with(&options).await?)
}

async fn count(books: &mut SqliteConnection, query: &'static str) -> Result<u64> {
    let (found,): (i64,) = sqlx::query_as(query).fetch_one(books).await?;
    Ok(found.cast_unsigned())
}
