//! One event handed to a worker, and what becomes of it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use casewire_domain::{DedupeId, Event};
use casewire_proto::Unreadable;

/// An event in our hands until it is acknowledged, put off, or its acknowledgement wait is over.
///
/// Dropping a delivery settles nothing: it comes again after the wait.
pub struct Delivery {
    /// The shard it came from.
    pub shard: u32,
    /// Its place in the stream.
    pub sequence: u64,
    /// Which delivery this is: 1 is the first.
    pub attempt: u64,
    /// The bytes as they were stored.
    pub raw: Bytes,
    /// The event, or the bytes that are none; those too must be acknowledged, once they are put where a person finds them.
    pub event: Result<Event, Undecodable>,
    settle: Box<dyn Settle>,
}

/// Bytes on the stream that this version cannot read. `Debug` leaves them out: they hold what people wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// The bytes as they were stored.
    pub payload: Vec<u8>,
    /// The dedupe id they were stored under, if any usable one was given.
    pub dedupe_id: Option<DedupeId>,
    /// Why they are no event.
    pub reason: Unreadable,
}

/// The stream could not be told what became of a delivery; it comes again after its acknowledgement wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream cannot be reached; the event comes again")]
pub struct NotSettled;

/// What an adapter does when it is told of a delivery; each as its namesake of [`Delivery`] says.
#[async_trait]
pub trait Settle: Send + Sync {
    /// The event is done with.
    async fn ack(self: Box<Self>) -> Result<(), NotSettled>;

    /// The event is delivered again, after this time.
    async fn retry(self: Box<Self>, after: Duration) -> Result<(), NotSettled>;

    /// The acknowledgement wait begins anew.
    async fn hold(&self) -> Result<(), NotSettled>;
}

impl Delivery {
    /// A delivery as an adapter makes it, of what is stored under this id.
    pub fn new(
        shard: u32,
        sequence: u64,
        attempt: u64,
        raw: Bytes,
        dedupe_id: Option<&str>,
        settle: Box<dyn Settle>,
    ) -> Self {
        let event = read(&raw, dedupe_id);
        Self { shard, sequence, attempt, raw, event, settle }
    }

    /// The event is done with: it is not delivered again, unless the word is lost in a crash. Call it after the
    /// effects are committed; it returns when the word is on its way, not when it has arrived.
    pub async fn ack(self) -> Result<(), NotSettled> {
        self.settle.ack().await
    }

    /// The event is delivered again after this time, and does not hold up others meanwhile. Not for long waits: on
    /// JetStream an event put off takes one of the shard's places for events in work.
    pub async fn retry(self, after: Duration) -> Result<(), NotSettled> {
        self.settle.retry(after).await
    }

    /// The event stays in our hands: its acknowledgement wait begins anew. For work that waits for something that is
    /// no event's fault, so that others do not wait for it too, and the event uses up no deliveries meanwhile.
    pub async fn hold(&self) -> Result<(), NotSettled> {
        self.settle.hold().await
    }
}

/// Acknowledges all of a batch. Every one is tried, whatever becomes of the others.
pub async fn ack_all(deliveries: impl IntoIterator<Item = Delivery>) -> Result<(), NotSettled> {
    let mut outcome = Ok(());
    for delivery in deliveries {
        outcome = delivery.ack().await.and(outcome);
    }
    outcome
}

/// Reads what was stored.
pub(crate) fn read(payload: &[u8], dedupe_id: Option<&str>) -> Result<Event, Undecodable> {
    casewire_proto::decode(payload).map_err(|reason| Undecodable {
        payload: payload.to_vec(),
        dedupe_id: dedupe_id.and_then(DedupeId::new),
        reason,
    })
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("shard", &self.shard)
            .field("sequence", &self.sequence)
            .field("attempt", &self.attempt)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undecodable")
            .field("payload", &format_args!("[{} bytes]", self.payload.len()))
            .field("dedupe_id", &self.dedupe_id)
            .field("reason", &self.reason)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_event_keep_their_id_and_print_without_their_content() {
        let undecodable = read(b"\xff secret", Some("i:AC1:SM1")).expect_err("no event");
        assert_eq!(undecodable.dedupe_id, DedupeId::new("i:AC1:SM1"));
        assert_eq!(undecodable.payload, b"\xff secret");
        assert!(!format!("{undecodable:?}").contains("secret"));
    }
}
