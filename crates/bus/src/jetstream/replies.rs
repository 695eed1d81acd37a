//! Where the server's acknowledgements come in.
//!
//! The library asks for each on a new subject, and for a new subject a server has to look up who listens. Subjects that
//! are used again it knows: with them ingest takes 5 % more events.
//!
//! An acknowledgement names no event, and one must never be taken for another event's. On a subject that was given up
//! it may still come; and a stream with replicas can answer for an event twice, when its leader changes at the wrong
//! moment. So a subject serves one shard, and is used again only after an event was stored under it. Then nothing is
//! believed but that the event was stored, and behind all that were stored under the subject before: a second answer to
//! one of those names its own place. Whatever else is said may be about an earlier event, and the question is put again,
//! on a new subject.
//!
//! This holds while all who answer on a shard's subject number its events alike: one stream, as it is set up.

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
    /// The number of the next new subject.
    next: u64,
}

/// A subject.
#[derive(Clone, Debug)]
struct Slot {
    number: u64,
    subject: Subject,
    shard: u32,
    /// Where the last event was stored that was acknowledged here; nothing was asked before where there is none.
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
        let number = book.next;
        book.next += 1;
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
    /// What the server is to be told.
    pub(super) fn subject(&self) -> Subject {
        self.slot.subject.clone()
    }

    /// The answer, without a bound of its own; `None` when none can come any more.
    pub(super) async fn answer(&mut self) -> Option<Message> {
        (&mut self.answer).await.ok()
    }

    /// Whether nothing was asked on the subject before: the answer is to this question, whatever it says.
    pub(super) fn is_new(&self) -> bool {
        self.slot.last.is_none()
    }

    /// Whether an event at `sequence` is behind all that were stored under the subject before.
    pub(super) fn is_behind_all(&self, sequence: u64) -> bool {
        self.slot.last < Some(sequence)
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
            // The reader has taken its number out with the answer.
            book.free.entry(self.slot.shard).or_default().push(self.slot.clone());
        } else {
            book.waiting.remove(&self.slot.number);
        }
    }
}

/// Hands each answer to who waits for it. One that nobody waits for any more is nobody's.
async fn read(mut answers: Subscriber, skip: usize, book: Arc<Mutex<Book>>) {
    while let Some(answer) = answers.next().await {
        let number = answer.subject.get(skip..).and_then(|number| number.parse().ok());
        let waiting = number.and_then(|number: u64| lock(&book).waiting.remove(&number));
        if let Some(waiting) = waiting {
            // Its receiver may have gone this moment.
            let _ = waiting.send(answer);
        }
    }
    // The client has ended.
    lock(&book).waiting.clear();
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
    async fn only_a_place_behind_all_before_is_told_from_an_earlier_events() {
        let (_server, _client, replies) = replies().await;
        let mut reply = replies.expect(0);
        assert!(reply.is_new() && reply.is_behind_all(7));
        reply.was_stored(7);
        drop(reply);
        let again = replies.expect(0);
        assert!(!again.is_new() && again.is_behind_all(8));
        assert!(!again.is_behind_all(7), "that is the earlier event");
        assert!(replies.expect_anew(0).is_new());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_client_that_has_ended() {
        let (_server, client, replies) = replies().await;
        let mut reply = replies.expect(0);
        client.drain().await.expect("it ends");
        let answer = tokio::time::timeout(Duration::from_secs(20), reply.answer()).await;
        assert!(answer.expect("in time").is_none());
    }
}
