//! Takes entries from the writer, and tells it what became of them.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::EmbeddedConfig;
use super::database::Leased;
use super::request::{Handed, Hold, Lease, Request, Retry};
use super::rush::Rush;
use crate::delivery::Settle;
use crate::{ConsumeError, Consumer, Delivery, NotSettled};

pub(super) struct EmbeddedConsumer {
    shard: u32,
    requests: mpsc::Sender<Request>,
    arrivals: watch::Receiver<()>,
    rush: Rush,
    config: EmbeddedConfig,
}

impl EmbeddedConsumer {
    pub(super) fn new(
        shard: u32,
        requests: mpsc::Sender<Request>,
        arrivals: watch::Receiver<()>,
        rush: Rush,
        config: EmbeddedConfig,
    ) -> Self {
        Self { shard, requests, arrivals, rush, config }
    }

    async fn lease(&self, max: usize) -> Result<Handed, ConsumeError> {
        let (reply, handed) = oneshot::channel();
        let lease = Request::Lease(Lease { shard: self.shard, max, reply });
        self.requests.send(lease).await.map_err(|_| ConsumeError::Unavailable)?;
        handed.await.map_err(|_| ConsumeError::Unavailable)?
    }

    fn delivery(&self, entry: Leased) -> Delivery {
        let Leased { sequence, attempt, dedupe_id, payload } = entry;
        let receipt = Receipt { shard: self.shard, sequence, attempt, requests: self.requests.clone() };
        let (sequence, attempt) = (sequence.cast_unsigned(), attempt.cast_unsigned());
        Delivery::new(self.shard, sequence, attempt, payload.into(), Some(&dedupe_id), Box::new(receipt))
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, ConsumeError> {
        let deadline = Instant::now() + wait;
        let left = || deadline.saturating_duration_since(Instant::now());
        loop {
            self.rush.over(self.config.rush_wait.min(left())).await;
            // Before looking, so that what arrives while we look wakes us.
            self.arrivals.borrow_and_update();
            let handed = self.lease(max).await?;
            let left = left();
            if !handed.entries.is_empty() || left.is_zero() {
                return Ok(handed.entries.into_iter().map(|entry| self.delivery(entry)).collect());
            }
            let poll = self.config.poll_interval;
            let pause = handed.next_in.unwrap_or(poll).min(poll).min(left);
            // Over, or woken: either way it looks again.
            let _ = timeout(pause, self.arrivals.changed()).await;
        }
    }
}

/// What tells the writer about one delivery.
struct Receipt {
    shard: u32,
    sequence: i64,
    attempt: i64,
    requests: mpsc::Sender<Request>,
}

#[async_trait]
impl Settle for Receipt {
    async fn ack(self: Box<Self>) -> Result<(), NotSettled> {
        self.requests.send(Request::Ack(self.sequence)).await.map_err(|_| NotSettled)
    }

    async fn retry(self: Box<Self>, after: Duration) -> Result<(), NotSettled> {
        let Self { shard, sequence, attempt, requests } = *self;
        let retry = Request::Retry(Retry { shard, sequence, attempt, after });
        requests.send(retry).await.map_err(|_| NotSettled)
    }

    async fn hold(&self) -> Result<(), NotSettled> {
        let hold = Request::Hold(Hold { sequence: self.sequence, attempt: self.attempt });
        self.requests.send(hold).await.map_err(|_| NotSettled)
    }
}
