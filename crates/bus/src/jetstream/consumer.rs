//! Takes events from one stream's shared consumer.
//!
//! Each fetch is one pull request of its own that ends with the first events there are: nothing is fetched ahead that
//! another worker could do, and a server that restarted is simply asked again.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::{AckKind, Context, Message};
use async_nats::{HeaderMap, StatusCode, Subject, Subscriber, header};
use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::connection::Connection;
use super::{CONSUMER, stream_name};
use crate::delivery::Settle;
use crate::{ConsumeError, Consumer, Delivery, NotSettled};

/// How long after the agreed time the server's "nothing came" may still be under way.
const GRACE: Duration = Duration::from_millis(500);

/// How often a fetch that waits looks whether its connection is still the one it asked over.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

pub(super) struct JetStreamConsumer {
    connection: Arc<Connection>,
    shard: u32,
    stream: String,
    /// What the library wants beside a message to read it: a dozen counts that all threads share, so one serves them all.
    context: Option<Context>,
}

/// How a pull ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// As many as were asked for, or the server said that there is nothing more.
    Complete,
    /// Without a word. A 2.9 server says nothing, too, when the consumer does not exist.
    Silent,
    /// The connection was lost; the server has forgotten what was asked.
    Lost,
    /// Nobody serves this consumer, or it was deleted.
    Missing,
    /// The server had something else to say.
    Refused(String),
}

impl JetStreamConsumer {
    pub(super) fn new(connection: Connection, shard: u32) -> Self {
        Self { connection: Arc::new(connection), shard, stream: stream_name(shard), context: None }
    }

    /// Asks for up to `max` events: those that are there, or else the first that come within `wait`.
    async fn pull(&self, max: usize, wait: Duration) -> Result<Subscriber, ConsumeError> {
        let client = &self.connection.client;
        let inbox = client.new_inbox();
        let replies = client.subscribe(inbox.clone()).await.map_err(|_| ConsumeError::Unavailable)?;
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        // Both together mean: end with what is there as soon as anything is.
        let request = json!({ "batch": max, "expires": wait, "no_wait": true }).to_string();
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{CONSUMER}", self.stream);
        let sent = client.publish_with_reply(subject, inbox, request.into()).await;
        sent.map_err(|_| ConsumeError::Unavailable)?;
        Ok(replies)
    }

    /// Gathers what a pull brings, until it ends.
    async fn gather(&mut self, replies: &mut Subscriber, max: usize, wait: Duration) -> (Vec<Delivery>, End) {
        let connects = self.connection.connects();
        let deadline = Instant::now() + wait + GRACE;
        let late = sleep_until(deadline);
        tokio::pin!(late);
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deliveries = Vec::new();
        let end = loop {
            tokio::select! {
                biased;
                reply = replies.next() => match reply {
                    None => break End::Lost,
                    Some(reply) => match reply.status {
                        None | Some(StatusCode::OK) => deliveries.extend(self.delivery(reply)),
                        Some(StatusCode::IDLE_HEARTBEAT) => {}
                        Some(status) => break end(status, reply.description.as_deref()),
                    },
                },
                _ = look.tick() => if !self.connection.up() || self.connection.connects() != connects {
                    break End::Lost;
                },
                () = &mut late => break End::Silent,
            }
            if deliveries.len() >= max {
                break End::Complete;
            }
        };
        (deliveries, end)
    }

    fn delivery(&mut self, message: async_nats::Message) -> Option<Delivery> {
        let context = self.context.take().unwrap_or_else(|| self.connection.context.clone());
        let message = Message { message, context };
        // Only what comes from a consumer has this; anything else is not for us.
        let place = message.info().ok().map(|info| (info.stream_sequence, info.delivered));
        let Message { message, context } = message;
        self.context = Some(context);
        let ((sequence, attempt), reply) = (place?, message.reply?);
        let receipt = Box::new(Receipt { connection: self.connection.clone(), reply });
        let attempt = attempt.max(1).cast_unsigned();
        let id = dedupe_id(message.headers.as_ref());
        Some(Delivery::new(self.shard, sequence, attempt, message.payload, id, receipt))
    }

    /// Whether the consumer exists.
    pub(super) async fn look(&self) -> Result<(), ConsumeError> {
        let subject = format!("CONSUMER.INFO.{}.{CONSUMER}", self.stream);
        let _: Info = self.connection.api(subject, &json!({})).await?;
        Ok(())
    }
}

pub(super) fn dedupe_id(headers: Option<&HeaderMap>) -> Option<&str> {
    Some(headers?.get(header::NATS_MESSAGE_ID)?.as_str())
}

fn end(status: StatusCode, description: Option<&str>) -> End {
    match (status, description.unwrap_or_default()) {
        (StatusCode::NOT_FOUND | StatusCode::TIMEOUT, _) => End::Complete,
        (StatusCode::NO_RESPONDERS, _) => End::Missing,
        (_, "Consumer Deleted") => End::Missing,
        (_, "Server Shutdown" | "Leadership Change") => End::Lost,
        (status, description) => End::Refused(format!("{status} {description}")),
    }
}

#[async_trait]
impl Consumer for JetStreamConsumer {
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, ConsumeError> {
        let started = Instant::now();
        if !self.connection.wait_up(wait).await {
            return Err(ConsumeError::Unavailable);
        }
        let (max, wait) = (max.max(1), wait.saturating_sub(started.elapsed()));
        let mut replies = self.pull(max, wait).await?;
        let (deliveries, end) = self.gather(&mut replies, max, wait).await;
        if !deliveries.is_empty() || end == End::Complete {
            self.connection.answered();
            return Ok(deliveries);
        }
        match end {
            End::Complete | End::Lost => Ok(deliveries),
            // A 2.9 server that had nothing in time; what the consumer tells of itself, its leader tells.
            End::Silent => self.look().await.map(|()| {
                self.connection.answered();
                deliveries
            }),
            End::Missing => Err(ConsumeError::Missing),
            End::Refused(why) => Err(ConsumeError::Failed(why)),
        }
    }
}

/// What tells the server about one delivery.
struct Receipt {
    connection: Arc<Connection>,
    reply: Subject,
}

impl Receipt {
    async fn tell(connection: &Connection, reply: Subject, kind: AckKind) -> Result<(), NotSettled> {
        // The library would keep it for later, and make us wait once it has kept too many.
        if !connection.up() {
            return Err(NotSettled);
        }
        connection.client.publish(reply, kind.into()).await.map_err(|_| NotSettled)
    }
}

#[async_trait]
impl Settle for Receipt {
    async fn ack(self: Box<Self>) -> Result<(), NotSettled> {
        // Plain: one that waits for an answer buys no durability (the server flushes consumers' state every 100 ms).
        Self::tell(&self.connection, self.reply, AckKind::Ack).await
    }

    async fn retry(self: Box<Self>, after: Duration) -> Result<(), NotSettled> {
        Self::tell(&self.connection, self.reply, AckKind::Nak(Some(after))).await
    }

    async fn hold(&self) -> Result<(), NotSettled> {
        Self::tell(&self.connection, self.reply.clone(), AckKind::Progress).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_at_the_end_is_understood() {
        assert_eq!(end(StatusCode::TIMEOUT, Some("Request Timeout")), End::Complete);
        assert_eq!(end(StatusCode::NO_RESPONDERS, None), End::Missing);
        assert_eq!(end(StatusCode::REQUEST_TERMINATED, Some("Consumer Deleted")), End::Missing);
        assert_eq!(end(StatusCode::REQUEST_TERMINATED, Some("Server Shutdown")), End::Lost);
        let refused = end(StatusCode::REQUEST_TERMINATED, Some("Exceeded MaxWaiting"));
        assert!(matches!(refused, End::Refused(_)));
    }
}
