//! The load: raw TCP, HTTP/1.1 with connections that stay, requests made before the clock starts. It runs on a thread
//! of its own and takes a sixth of the machine at 40,000 a second, nearly all of it the kernel's.

mod client;
mod dice;
mod requests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::statistics::Latencies;
use client::Connection;
pub(crate) use dice::Senders;
pub(crate) use requests::{Line, Requests, Text, Texts};

/// What one run of a load found. Every request was answered 2xx, or there is no window.
#[derive(Debug)]
pub(crate) struct Window {
    /// When the first request was sent, or should have been.
    pub(crate) began: DateTime<Utc>,
    /// From then to the last answer.
    pub(crate) took: Duration,
    pub(crate) latencies: Latencies,
}

impl Window {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

/// So many connections, each of which sends its next request when it has the answer to the last.
pub(crate) async fn closed(to: SocketAddr, requests: Arc<Requests>, connections: usize) -> Result<Window> {
    run(to, requests, connections, |_| None).await
}

/// So many requests a second whatever becomes of them. Latencies count from when a request should have been sent, so
/// that a server which stalls is charged for those that had to wait. The timer is good to a millisecond.
pub(crate) async fn open(
    to: SocketAddr,
    requests: Arc<Requests>,
    connections: usize,
    a_second: f64,
) -> Result<Window> {
    run(to, requests, connections, move |index| Some(Duration::from_secs_f64(index as f64 / a_second))).await
}

async fn run<F>(to: SocketAddr, requests: Arc<Requests>, connections: usize, due: F) -> Result<Window>
where
    F: Fn(usize) -> Option<Duration> + Copy + Send + 'static,
{
    let thread = move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(drive(to, requests, connections, due))
    };
    tokio::task::spawn_blocking(thread).await.context("the load's thread ended")?
}

async fn drive<F>(to: SocketAddr, requests: Arc<Requests>, connections: usize, due: F) -> Result<Window>
where
    F: Fn(usize) -> Option<Duration> + Copy + Send + 'static,
{
    let mut ready = Vec::with_capacity(connections);
    for _ in 0..connections {
        ready.push(Connection::open(to).await.context("the server takes no connection")?);
    }
    let (next, start, began) = (Arc::new(AtomicUsize::new(0)), Instant::now(), Utc::now());
    let mut running = JoinSet::new();
    for connection in ready {
        running.spawn(send(connection, requests.clone(), next.clone(), start, due));
    }
    let mut all = Vec::with_capacity(requests.len());
    while let Some(ended) = running.join_next().await {
        all.extend(ended.context("a connection's task ended")??);
    }
    let took = start.elapsed();
    ensure!(all.len() == requests.len(), "{} requests, but {} answers", requests.len(), all.len());
    Ok(Window { began, took, latencies: Latencies::new(all) })
}

/// Sends whatever is next until there is nothing; how long each answer took.
async fn send<F>(
    mut connection: Connection,
    requests: Arc<Requests>,
    next: Arc<AtomicUsize>,
    start: Instant,
    due: F,
) -> Result<Vec<Duration>>
where
    F: Fn(usize) -> Option<Duration>,
{
    let mut latencies = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(index) else { return Ok(latencies) };
        let from = match due(index) {
            Some(after) => {
                sleep_until((start + after).into()).await;
                start + after
            }
            None => Instant::now(),
        };
        let status = connection.exchange(request).await.with_context(|| format!("request {index}"))?;
        ensure!((200..300).contains(&status), "request {index} was answered {status}");
        latencies.push(from.elapsed());
    }
}
