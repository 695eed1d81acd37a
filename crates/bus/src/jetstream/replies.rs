//! Where the server's acknowledgements come in.
//!
//! The library would have each on a subject of its own, and of a new subject a server has to find out who listens to
//! it. Where subjects are used again it knows: ingest takes a twentieth more events for that.
//!
//! An acknowledgement names no event, and one must never be taken for another event's. On a subject that was given up
//! it may still come, and where a stream has replicas an event is acknowledged twice when its leader changes at the
//! wrong moment. So a subject serves one shard, and is used again only after an event was stored under it; and then an
//! acknowledgement is believed only if its place in the stream is behind those of all events before
//! ([`Reply::is_sure_of`]). What is in doubt is asked again, on a subject that is new.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Client, Message, Subject, SubscribeError, Subscriber};
use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

/// The subjects of one client, and who waits on them.
#[derive(Debug)]
pub(super) struct Replies {
    prefix: String,
    book: Arc<Mutex<Book>>,
    _reader: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Book {
    /// Of each shard as many as were ever waited on at once.
    free: HashMap<u32, Vec<Slot>>,
    waiting: HashMap<u64, oneshot::Sender<Message>>,
    /// How many subjects there were.
    made: u64,
}

/// A subject.
#[derive(Clone, Debug)]
struct Slot {
    number: u64,
    subject: Subject,
    shard: u32,
    /// Where the last event was stored that was acknowledged here.
    last: Option<u64>,
}

/// A subject that one answer is awaited on.
#[derive(Debug)]
pub(super) struct Reply {
    slot: Slot,
    book: Arc<Mutex<Book>>,
    answer: oneshot::Receiver<Message>,
    reusable: bool,
}

impl Replies {
    /// Begins to listen.
    pub(super) async fn listen(client: &Client) -> Result<Self, SubscribeError> {
        let prefix = format!("{}.", client.new_inbox());
        let answers = client.subscribe(format!("{prefix}*")).await?;
        let book = Arc::<Mutex<Book>>::default();
        let reader = tokio::spawn(read(answers, prefix.len(), book.clone()));
        Ok(Self { prefix, book, _reader: AbortOnDropHandle::new(reader) })
    }

    /// A subject for one answer of this shard's stream, used before where there is one.
    pub(super) fn expect(&self, shard: u32) -> Reply {
        let used = lock(&self.book).free.get_mut(&shard).and_then(Vec::pop);
        used.map_or_else(|| self.expect_anew(shard), |slot| self.wait_on(slot))
    }

    /// A subject that nothing was ever asked on.
    pub(super) fn expect_anew(&self, shard: u32) -> Reply {
        let mut book = lock(&self.book);
        let number = book.made;
        book.made += 1;
        drop(book);
        self.wait_on(Slot { number, subject: format!("{}{number}", self.prefix).into(), shard, last: None })
    }

    fn wait_on(&self, slot: Slot) -> Reply {
        let (sender, answer) = oneshot::channel();
        lock(&self.book).waiting.insert(slot.number, sender);
        Reply { slot, book: self.book.clone(), answer, reusable: false }
    }
}

impl Reply {
    pub(super) fn shard(&self) -> u32 {
        self.slot.shard
    }

    /// What the server is to be told.
    pub(super) fn subject(&self) -> Subject {
        self.slot.subject.clone()
    }

    /// The answer, without a bound of its own; `None` when none can come any more.
    pub(super) async fn answer(&mut self) -> Option<Message> {
        (&mut self.answer).await.ok()
    }

    /// Whether an acknowledgement of an event stored at `sequence` is of the event that was asked about. A late one of
    /// an earlier event says where that is stored, and the one that is awaited can only be stored behind it; of a
    /// duplicate nothing tells whose it is.
    pub(super) fn is_sure_of(&self, sequence: u64, duplicate: bool) -> bool {
        self.slot.last.is_none_or(|last| !duplicate && last < sequence)
    }

    /// The event was stored, anew, at `sequence`: others may use the subject.
    pub(super) fn was_stored(&mut self, sequence: u64) {
        self.slot.last = Some(sequence);
        self.reusable = true;
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let mut book = lock(&self.book);
        if self.reusable {
            book.free.entry(self.slot.shard).or_default().push(self.slot.clone());
        } else {
            book.waiting.remove(&self.slot.number);
        }
    }
}

/// Hands each answer to who waits for it. One that nobody waits for any more is nobody's.
async fn read(mut answers: Subscriber, prefix: usize, book: Arc<Mutex<Book>>) {
    while let Some(answer) = answers.next().await {
        let number = answer.subject.get(prefix..).and_then(|number| number.parse().ok());
        let waiting = number.and_then(|number: u64| lock(&book).waiting.remove(&number));
        if let Some(waiting) = waiting {
            // Its receiver may have gone this moment.
            let _ = waiting.send(answer);
        }
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    // Each change of it is whole.
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use casewire_testkit::NatsServer;

    use super::*;

    async fn replies() -> (NatsServer, Client, Replies) {
        let server = NatsServer::start().await.expect("a server");
        let client = async_nats::connect(server.url()).await.expect("a client");
        let replies = Replies::listen(&client).await.expect("replies");
        (server, client, replies)
    }

    async fn say(client: &Client, to: Subject, what: &'static str) {
        client.publish(to, what.into()).await.expect("it is sent");
    }

    async fn heard(reply: &mut Reply) -> String {
        let answer = tokio::time::timeout(Duration::from_secs(20), reply.answer()).await;
        let answer = answer.expect("an answer in time").expect("an answer");
        String::from_utf8_lossy(&answer.payload).into_owned()
    }

    #[tokio::test]
    async fn a_subject_is_used_again_for_its_shard_once_an_event_was_stored_under_it() {
        let (_server, client, replies) = replies().await;
        let mut first = replies.expect(0);
        let subject = first.subject();
        let meanwhile = replies.expect(0);
        assert_ne!(meanwhile.subject(), subject);
        say(&client, subject.clone(), "first").await;
        assert_eq!(heard(&mut first).await, "first");
        first.was_stored(1);
        drop(first);
        assert_ne!(replies.expect(1).subject(), subject, "another shard counts anew");
        let mut second = replies.expect(0);
        assert_eq!(second.subject(), subject);
        say(&client, subject, "second").await;
        assert_eq!(heard(&mut second).await, "second");
    }

    #[tokio::test]
    async fn a_subject_that_was_given_up_is_nobodys() {
        let (_server, client, replies) = replies().await;
        let given_up = replies.expect(0).subject();
        let mut next = replies.expect(0);
        assert_ne!(next.subject(), given_up);
        say(&client, given_up, "late").await;
        say(&client, next.subject(), "mine").await;
        assert_eq!(heard(&mut next).await, "mine");
        assert_eq!(lock(&replies.book).waiting.len(), 0, "and nothing is kept of it");
    }

    #[tokio::test]
    async fn an_answer_that_may_be_an_earlier_events_is_in_doubt() {
        let (_server, _client, replies) = replies().await;
        let mut reply = replies.expect(0);
        assert!(reply.is_sure_of(7, false));
        assert!(reply.is_sure_of(7, true), "nobody else ever asked here");
        reply.was_stored(7);
        drop(reply);
        let again = replies.expect(0);
        assert!(again.is_sure_of(8, false));
        assert!(!again.is_sure_of(7, false), "that is the earlier event");
        assert!(!again.is_sure_of(8, true), "nobody can tell");
        assert!(replies.expect_anew(0).is_sure_of(7, true));
    }
}
