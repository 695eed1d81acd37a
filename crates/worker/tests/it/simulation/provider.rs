//! A provider that takes texts, tells of them or does not, and lists them truly.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use casewire_domain::{Address, DeliveryStatus, Media, MessageId, Text};
use casewire_runtime::config;
use casewire_twilio::rest::{
    Credentials, Direction, List, Message, NextPage, Page, ReadError, Send, SendOutcome, Trouble,
};
use casewire_twilio::webhook::parse_status_path;
use casewire_worker::Provider;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use tokio::time::{Instant, sleep};

use super::world::{Process, Shared, World};
use super::{PUBLIC_URL, words};

/// What the provider knows.
#[derive(Default)]
pub(crate) struct Books {
    /// Texts it took, in order.
    pub(crate) texts: Vec<Taken>,
    /// The furthest status whose callback reached the stream, by text of ours: of those that named it by our path, and
    /// of those that named it by the provider's id.
    pub(crate) named: BTreeMap<MessageId, DeliveryStatus>,
    pub(crate) numbered: BTreeMap<MessageId, DeliveryStatus>,
    /// Requests that began when another could have taken their text's lease by their end.
    pub(crate) overdue: u32,
    /// What is still to happen: late texts and callbacks under way.
    pub(crate) coming: u32,
}

/// A text it took.
pub(crate) struct Taken {
    pub(crate) sid: String,
    pub(crate) message_id: MessageId,
    pub(crate) attempt: u32,
    from: Address,
    to: Address,
    body: Text,
    created_at: DateTime<Utc>,
    /// How far it has come, and when.
    steps: Vec<(Instant, DeliveryStatus)>,
}

impl Taken {
    /// How far it has come by now.
    pub(crate) fn status(&self) -> DeliveryStatus {
        let now = Instant::now();
        let reached = self.steps.iter().filter(|(at, _)| *at <= now).map(|(_, status)| *status);
        reached.max().unwrap_or(DeliveryStatus::Queued)
    }
}

pub(crate) struct SimProvider(pub(crate) Process);

/// Whose text it is, and which attempt.
fn named(callback: &str) -> (MessageId, u32) {
    parse_status_path(callback.strip_prefix(PUBLIC_URL).unwrap().split('#').next().unwrap()).unwrap()
}

impl World {
    /// Sees to it that no request begins too late to end within the lease.
    fn watch(&mut self, text: &Send<'_>) {
        let sender = config::Sender::default();
        let begun = self.tables.begun[&named(text.status_callback)];
        self.books.overdue += u32::from(begun.elapsed() >= sender.lease - sender.request_timeout);
    }
}

/// What the provider does with a request.
enum Doing {
    Take,
    TakeAnd(Trouble),
    TakeLate,
    Break(Trouble),
    SlowDown,
    Unreachable,
    Refuse,
    RefuseToken,
}

fn doing(process: &Process) -> Doing {
    let mut world = process.world.lock();
    let wrong = world.weather.provider;
    if !world.dice.per_mille(wrong) {
        return Doing::Take;
    }
    match world.dice.below(10) {
        0 => Doing::TakeAnd(Trouble::ServerError(500)),
        1 => Doing::TakeAnd(Trouble::UnreadableAnswer),
        2 => Doing::TakeAnd(Trouble::ConnectionLost),
        3 => Doing::TakeAnd(Trouble::TimedOut),
        4 => Doing::TakeLate,
        5 => Doing::Break(Trouble::ServerError(500)),
        6 => Doing::Break(Trouble::TimedOut),
        7 => Doing::Unreachable,
        8 if world.dice.per_mille(300) => Doing::Refuse,
        9 if world.dice.per_mille(300) => Doing::RefuseToken,
        _ => Doing::SlowDown,
    }
}

#[async_trait]
impl Provider for SimProvider {
    async fn send(&self, _: &Credentials, text: &Send<'_>) -> SendOutcome {
        self.0.world.lock().watch(text);
        self.0.passes("send").await;
        let outcome = match doing(&self.0) {
            Doing::Take => {
                let sid = take(&self.0.world, &text.into());
                SendOutcome::Accepted { sid, status: DeliveryStatus::Queued }
            }
            Doing::TakeAnd(reason) => {
                take(&self.0.world, &text.into());
                if reason == Trouble::TimedOut {
                    sleep(Duration::from_secs(15)).await;
                }
                SendOutcome::Uncertain { reason }
            }
            Doing::TakeLate => {
                late(&self.0.world, text.into());
                sleep(Duration::from_secs(15)).await;
                SendOutcome::Uncertain { reason: Trouble::TimedOut }
            }
            Doing::Break(reason) => SendOutcome::Uncertain { reason },
            Doing::SlowDown => {
                let retry_after = self.0.world.lock().dice.per_mille(300).then_some(Duration::from_secs(3));
                SendOutcome::NotProcessed { reason: Trouble::Throttled, retry_after }
            }
            Doing::Unreachable => {
                SendOutcome::NotProcessed { reason: Trouble::Unreachable, retry_after: None }
            }
            Doing::RefuseToken => SendOutcome::AccountRefused { http_status: 401, code: Some(20_003) },
            Doing::Refuse => SendOutcome::Rejected { code: Some(21_614), message: "not a mobile number" },
        };
        self.0.passes("sent").await;
        outcome
    }

    async fn list(&self, _: &Credentials, list: &List<'_>) -> Result<Page, ReadError> {
        let wrong = |weather: &super::world::Weather| weather.provider / 4;
        let page = self.0.asks("list", wrong, |world| {
            let listed = world.books.texts.iter().rev();
            let wanted = |text: &&Taken| list.to.is_none_or(|to| *to == text.to);
            listed.filter(wanted).map(message).collect()
        });
        let unavailable = ReadError::Unavailable { reason: Trouble::TimedOut, retry_after: None };
        page.await.map(|messages| Page { messages, next: None }).ok_or(unavailable)
    }

    async fn media(&self, _: &Credentials, _: &str) -> Result<Vec<Media>, ReadError> {
        Ok(Vec::new())
    }

    async fn list_next(&self, _: &Credentials, _: &NextPage) -> Result<Page, ReadError> {
        Ok(Page { messages: Vec::new(), next: None })
    }
}

fn message(text: &Taken) -> Message {
    Message {
        sid: text.sid.clone(),
        direction: Direction::OutboundApi,
        status: Some(text.status()),
        from: Some(text.from.clone()),
        to: Some(text.to.clone()),
        body: text.body.clone(),
        media: 0,
        messaging_service_sid: None,
        created_at: Some(text.created_at),
        sent_at: None,
        error_code: None,
    }
}

/// A request, without the one who made it.
struct Asked {
    from: Address,
    to: Address,
    body: Text,
    callback: String,
}

impl From<&Send<'_>> for Asked {
    fn from(text: &Send<'_>) -> Self {
        let (from, to, body) = (text.from.clone(), text.to.clone(), text.body.clone());
        Self { from, to, body, callback: text.status_callback.to_owned() }
    }
}

/// Takes a text a while after its sender has given up.
fn late(world: &Shared, text: Asked) {
    let after = {
        let mut locked = world.lock();
        locked.books.coming += 1;
        Duration::from_millis(locked.dice.between(1_000, 26_000))
    };
    let world = world.clone();
    tokio::spawn(async move {
        sleep(after).await;
        take(&world, &text);
        world.lock().books.coming -= 1;
    });
}

/// Takes a text, and begins to tell of it.
fn take(shared: &Shared, text: &Asked) -> String {
    let mut world = shared.lock();
    let number = world.books.texts.len() as u64 + 1;
    let sid = words::outbound_sid(number);
    let target = text.callback.strip_prefix(PUBLIC_URL).unwrap().split('#').next().unwrap().to_owned();
    let (message_id, attempt) = named(&text.callback);
    let end = match world.dice.below(10) {
        0 => DeliveryStatus::Undelivered,
        1 => DeliveryStatus::Sent,
        _ => DeliveryStatus::Delivered,
    };
    let mut at = Instant::now();
    let mut steps = Vec::new();
    for status in [DeliveryStatus::Sending, DeliveryStatus::Sent, end] {
        at += Duration::from_millis(world.dice.between(10, 4_000));
        steps.push((at, status));
    }
    steps.dedup_by_key(|(_, status)| *status);
    for (at, status) in &steps {
        tell(shared, &mut world, (message_id, sid.clone(), target.clone()), *at, *status);
    }
    world.note("took a text as", number);
    let created_at = world.now().duration_trunc(TimeDelta::seconds(1)).unwrap();
    let Asked { from, to, body, .. } = text;
    let (from, to, body) = (from.clone(), to.clone(), body.clone());
    world.books.texts.push(Taken {
        sid: sid.clone(),
        message_id,
        attempt,
        from,
        to,
        body,
        created_at,
        steps,
    });
    sid
}

/// Tells of a status, late and perhaps never.
fn tell(
    shared: &Shared,
    world: &mut super::world::World,
    (message_id, sid, target): (MessageId, String, String),
    at: Instant,
    status: DeliveryStatus,
) {
    let lost = world.weather.callbacks_lost;
    if world.dice.per_mille(lost) {
        return;
    }
    let slow = world.weather.slow;
    let delay = if world.dice.per_mille(slow) { world.dice.below(60_000) } else { world.dice.below(500) };
    // Twilio's own report may come without our path: by the account's callback URL, say.
    let named = !world.dice.per_mille(100);
    world.books.coming += 1;
    let shared = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep_until(at + Duration::from_millis(delay)).await;
        let mut world = shared.lock();
        let received_at = world.now();
        world.publish(words::callback(&sid, named.then_some(target.as_str()), status, received_at));
        let books = &mut world.books;
        let told = if named { &mut books.named } else { &mut books.numbered };
        let furthest = told.entry(message_id).or_insert(status);
        *furthest = status.max(*furthest);
        world.books.coming -= 1;
    });
}
