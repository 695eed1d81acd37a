//! What is asked of the writer, and how a group of requests is answered.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

use super::database::Leased;
use super::{Standing, schema};
use crate::{ConsumeError, PublishError, Published};

/// What an entry takes in the file beside its payload and its id, roughly.
const OVERHEAD_BYTES: u64 = 100;

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Request {
    Publish(Publish),
    Lease(Lease),
    Ack(i64),
    Retry(Retry),
    Hold(Hold),
    Count(oneshot::Sender<Result<Standing, ConsumeError>>),
    Copy(Copy),
    Close(oneshot::Sender<()>),
}

/// Copy the whole file.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) to: PathBuf,
    pub(super) reply: oneshot::Sender<sqlx::Result<()>>,
}

/// Store this.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) shard: u32,
    pub(super) dedupe_id: String,
    pub(super) payload: Vec<u8>,
    pub(super) reply: oneshot::Sender<Result<Published, PublishError>>,
}

impl Publish {
    /// Bytes it takes.
    pub(super) fn size(&self) -> u64 {
        let bytes = self.payload.len().saturating_add(self.dedupe_id.len());
        u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(OVERHEAD_BYTES)
    }
}

/// Hand out up to `max` entries.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) shard: u32,
    pub(super) max: usize,
    pub(super) reply: oneshot::Sender<Result<Handed, ConsumeError>>,
}

/// What was handed out, and if that was nothing: in how long there may be something.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) entries: Vec<Leased>,
    pub(super) next_in: Option<Duration>,
}

/// Put this entry off.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) shard: u32,
    pub(super) sequence: i64,
    pub(super) attempt: i64,
    pub(super) after: Duration,
}

/// Leave this entry where it is for another acknowledgement wait.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) sequence: i64,
    pub(super) attempt: i64,
}

/// Requests of one transaction, by kind. Removals come first, to make room; leases after what they may find.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) acks: Vec<i64>,
    pub(super) retries: Vec<Retry>,
    pub(super) holds: Vec<Hold>,
    pub(super) publishes: Vec<Publish>,
    pub(super) leases: Vec<Lease>,
    pub(super) counts: Vec<oneshot::Sender<Result<Standing, ConsumeError>>>,
    /// Made once everything else of the group is committed.
    pub(super) copies: Vec<Copy>,
    pub(super) close: Option<oneshot::Sender<()>>,
}

impl Group {
    pub(super) fn of(requests: &mut Vec<Request>) -> Self {
        let mut group = Self::default();
        for request in requests.drain(..) {
            match request {
                Request::Ack(sequence) => group.acks.push(sequence),
                Request::Retry(retry) => group.retries.push(retry),
                Request::Hold(hold) => group.holds.push(hold),
                Request::Publish(publish) => group.publishes.push(publish),
                Request::Lease(lease) => group.leases.push(lease),
                Request::Count(reply) => group.counts.push(reply),
                Request::Copy(copy) => group.copies.push(copy),
                Request::Close(reply) => group.close = Some(reply),
            }
        }
        group
    }

    /// Whether it must be on the disk before it is answered. All else may be lost with the power: what was acknowledged
    /// comes again and is recognised, what was put off or handed out comes at once.
    pub(super) fn lasts(&self) -> bool {
        !self.publishes.is_empty()
    }

    /// Whether nothing but storing is asked of the transaction.
    pub(super) fn only_publishes(&self) -> bool {
        let Self { acks, retries, holds, publishes, leases, counts, copies: _, close: _ } = self;
        let others = !acks.is_empty() || !retries.is_empty() || !holds.is_empty();
        !publishes.is_empty() && !others && leases.is_empty() && counts.is_empty()
    }

    /// The shards in which there may be something new to fetch afterwards.
    pub(super) fn touched(&self) -> impl Iterator<Item = u32> {
        let retried = self.retries.iter().map(|retry| retry.shard);
        retried.chain(self.publishes.iter().map(|publish| publish.shard))
    }

    pub(super) fn answer(self, outcome: Result<Outcome, sqlx::Error>) {
        match outcome {
            Ok(outcome) => self.answer_all(outcome),
            Err(error) => self.refuse_all(&error),
        }
    }

    // Who asked may have stopped waiting; that is no concern of the writer.
    fn answer_all(self, outcome: Outcome) {
        for (publish, published) in self.publishes.into_iter().zip(outcome.published) {
            let _ = publish.reply.send(published);
        }
        for (lease, handed) in self.leases.into_iter().zip(outcome.handed) {
            let _ = lease.reply.send(Ok(handed));
        }
        for reply in self.counts {
            let _ = reply.send(Ok(outcome.standing.clone()));
        }
    }

    fn refuse_all(self, error: &sqlx::Error) {
        tracing::error!(%error, "the embedded stream could not write; nothing of this group is stored");
        let refusal = if schema::no_room(error) { PublishError::Full } else { PublishError::Unavailable };
        for publish in self.publishes {
            let _ = publish.reply.send(Err(refusal.clone()));
        }
        for lease in self.leases {
            let _ = lease.reply.send(Err(ConsumeError::Unavailable));
        }
        for reply in self.counts {
            let _ = reply.send(Err(ConsumeError::Unavailable));
        }
    }
}

/// What became of a group, in its order.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) published: Vec<Result<Published, PublishError>>,
    pub(super) handed: Vec<Handed>,
    pub(super) standing: Standing,
}

impl Outcome {
    /// Events that are new.
    pub(super) fn stored(&self) -> usize {
        let new = |published: &&Result<Published, _>| matches!(published, Ok(new) if !new.duplicate);
        self.published.iter().filter(new).count()
    }
}
