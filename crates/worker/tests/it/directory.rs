//! What ingest knows of accounts and lines: soon after every change, and again after every loss.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use casewire_bus::{BoardError, DirectoryBoard, JetStream, JetStreamConfig, LocalDirectory, Stream};
use casewire_domain::directory::Directory;
use casewire_testkit::{NatsServer, eventually};
use tokio::sync::watch;

use crate::bench::{Bench, Plan, SOON};
use crate::words::{HEATHER, IAN, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_added_is_known_within_a_second() -> Result<()> {
    let (bench, _worker) = Bench::start().await?;
    let mut shown = bench.board.watch();
    let shows = |shown: &Option<Arc<Directory>>, id: &str| {
        shown.as_ref().is_some_and(|shown| shown.lines.iter().any(|line| line.webhook_id == id))
    };
    assert!(!shows(&shown.borrow(), "second"));
    let added = Instant::now();
    bench.add_line("second", "+15550004444", 100).await?;
    tokio::time::timeout(SOON, shown.wait_for(|shown| shows(shown, "second"))).await??;
    assert!(added.elapsed() < Duration::from_secs(1), "{:?}", added.elapsed());
    Ok(())
}

/// A board that can be in trouble, and counts what is hung on it.
#[derive(Default)]
struct Flaky {
    board: LocalDirectory,
    trouble: Mutex<Option<BoardError>>,
    tries: AtomicUsize,
    hung: AtomicUsize,
}

impl Flaky {
    fn trouble(&self, trouble: Option<BoardError>) -> Result<()> {
        *self.trouble.lock().map_err(|_| anyhow::anyhow!("poisoned"))? = trouble;
        Ok(())
    }
}

#[async_trait]
impl DirectoryBoard for Flaky {
    async fn publish(&self, directory: &Directory) -> Result<(), BoardError> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        if let Some(trouble) = self.trouble.lock().ok().and_then(|trouble| trouble.clone()) {
            return Err(trouble);
        }
        self.hung.fetch_add(1, Ordering::SeqCst);
        self.board.publish(directory).await
    }

    fn watch(&self) -> watch::Receiver<Option<Arc<Directory>>> {
        self.board.watch()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_is_hung_up_again_now_and_then() -> Result<()> {
    let bench = Bench::idle(Plan::default()).await?;
    let board = Arc::new(Flaky::default());
    let mut deps = bench.deps()?;
    deps.board = board.clone();
    let _worker = bench.run(deps);
    eventually("it is hung up again", SOON, || async { board.hung.load(Ordering::SeqCst) >= 3 }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_in_trouble_is_tried_again_ever_more_patiently_and_served_when_it_is_back() -> Result<()> {
    for trouble in
        [BoardError::Unavailable, BoardError::Missing, BoardError::Superseded { ours: 1, there: 99 }]
    {
        let bench = Bench::idle(Plan::default()).await?;
        let board = Arc::new(Flaky::default());
        board.trouble(Some(trouble.clone()))?;
        let mut deps = bench.deps()?;
        deps.board = board.clone();
        let begun = Instant::now();
        let _worker = bench.run(deps);
        eventually("it is tried", SOON, || async { board.tries.load(Ordering::SeqCst) >= 4 }).await?;
        // 500 ms each, which is the longest pause here.
        assert!(begun.elapsed() >= Duration::from_millis(1_200), "{trouble}: {:?}", begun.elapsed());
        board.trouble(None)?;
        let mut shown = board.watch();
        tokio::time::timeout(SOON, shown.wait_for(Option::is_some)).await??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_wiped_is_made_again_and_shows_the_directory() -> Result<()> {
    let server = NatsServer::start().await?;
    let config = JetStreamConfig { url: server.url(), max_bytes: 16 << 20, ..Default::default() };
    let stream = Arc::new(JetStream::connect(config.clone()).await?);
    ensure!(stream.wait_connected(SOON).await, "no connection");
    let bench = Bench::idle(Plan::default()).await?;
    let mut deps = bench.deps()?;
    (deps.stream, deps.board) = (stream.clone(), stream.clone());
    // Nobody has prepared the stream: workers do.
    let worker = bench.run(deps);
    works(&bench, &stream, HEATHER).await?;
    server.kill()?;
    std::fs::remove_dir_all(server.store_dir())?;
    server.restart().await?;
    works(&bench, &stream, IAN).await.context("after the wipe")?;
    let ingest = JetStream::connect(config).await?;
    let mut shown = ingest.watch();
    tokio::time::timeout(SOON, shown.wait_for(Option::is_some)).await.context("the directory")??;
    assert!(!worker.shutdown.is_requested(), "no task has given up");
    Ok(())
}

/// A text put on the stream becomes a case.
async fn works(bench: &Bench, stream: &JetStream, person: &str) -> Result<()> {
    let event = text("main", person, "hello");
    eventually("the stream takes it", SOON, || async { Stream::publish(stream, &event, 1).await.is_ok() })
        .await?;
    bench.case_soon(person).await?;
    Ok(())
}
