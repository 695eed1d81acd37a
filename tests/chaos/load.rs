//! The load: texts at a steady rate whatever becomes of them, from a few talkative people and many quiet ones, some
//! twice, some forged, some that say STOP, and retried as Twilio does when the URL asks for it (`#rc=5&rp=all`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::books::{Books, Kind};
use crate::kit::{Dice, Hook, message_sid, person};

/// Pauses before Twilio's five retries; they add up to less than the 15 s it takes in all.
const PAUSES: [u64; 5] = [250, 500, 1000, 2000, 4000];
/// After this long Twilio gives a webhook up.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait for one answer: `rt=5000` of the fragment.
const READ: Duration = Duration::from_secs(5);
/// Texts under way at once, with those that wait for a retry.
const UNDER_WAY: usize = 8_000;
/// How often what is due is sent.
const TICK: Duration = Duration::from_millis(5);
/// The senders who say STOP are those of an index from here on.
const STOPPERS: u64 = 5_000_000;

/// What the load is like.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Texts a second; nothing means as many as the clients get through (a closed loop).
    pub(crate) rate: Option<f64>,
    /// Clients of a closed loop.
    pub(crate) clients: usize,
    /// Ends by itself after this many texts.
    pub(crate) texts: Option<u64>,
    /// How many people text.
    pub(crate) senders: u64,
    /// The first of them.
    pub(crate) first: u64,
    pub(crate) seed: u64,
    /// Everybody texts once, an ordinary text; Zipf's law otherwise.
    pub(crate) each_once: bool,
}

impl Flow {
    pub(crate) fn open(rate: f64, senders: u64, seed: u64) -> Self {
        Self { rate: Some(rate), clients: 0, texts: None, senders, first: 0, seed, each_once: false }
    }

    pub(crate) fn closed(clients: usize, texts: u64, senders: u64, seed: u64) -> Self {
        Self { rate: None, clients, texts: Some(texts), senders, first: 0, seed, each_once: false }
    }
}

/// A load that runs.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(hook: &Hook, flow: Flow, books: Arc<Books>) -> Self {
        let sender = Arc::new(Sender::new(hook, books));
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, loops) = (stop.clone(), flow.rate.is_none());
        let running = tokio::spawn(async move {
            if loops { closed(sender, flow, flag).await } else { open(sender, flow, flag).await }
        });
        Self { stop, running }
    }

    /// Whether it has sent all it should.
    pub(crate) fn is_done(&self) -> bool {
        self.running.is_finished()
    }

    /// Sends no more, and waits until every text is taken or given up.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.running.await.unwrap();
    }

    /// Waits until it has sent all it should.
    pub(crate) async fn end(self) {
        self.running.await.unwrap();
    }
}

/// Sends what is due, at its time, without waiting for what was sent before.
async fn open(sender: Arc<Sender>, flow: Flow, stop: Arc<AtomicBool>) {
    let (start, rate) = (Instant::now(), flow.rate.unwrap());
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut draw = Draw::new(&flow);
    let mut under_way = JoinSet::new();
    let mut sent = 0;
    while !stop.load(Ordering::Acquire) && flow.texts.is_none_or(|texts| sent < texts) {
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        while sent < due && flow.texts.is_none_or(|texts| sent < texts) {
            let permit = match room.clone().try_acquire_owned() {
                Ok(permit) => permit,
                Err(_) => {
                    sender.books.came_late();
                    room.clone().acquire_owned().await.unwrap()
                }
            };
            let (sender, text) = (sender.clone(), draw.text());
            under_way.spawn(async move {
                sender.deliver(&text).await;
                drop(permit);
            });
            sent += 1;
        }
        while under_way.try_join_next().is_some() {}
        tokio::time::sleep(TICK).await;
    }
    while under_way.join_next().await.is_some() {}
}

/// Clients that each send the next text once the last was taken or given up.
async fn closed(sender: Arc<Sender>, flow: Flow, stop: Arc<AtomicBool>) {
    let wanted = flow.texts.unwrap();
    let next = Arc::new(AtomicU64::new(flow.first));
    let mut clients = JoinSet::new();
    for client in 0..flow.clients as u64 {
        let (sender, stop, next, once) = (sender.clone(), stop.clone(), next.clone(), flow.each_once);
        let mut draw = Draw::new(&Flow {
            seed: flow.seed ^ (client << 20),
            senders: if flow.each_once { 1 } else { flow.senders },
            ..flow.clone()
        });
        clients.spawn(async move {
            while !stop.load(Ordering::Acquire) && sender.books.taken() < wanted {
                let text = if once { Draft::of(next.fetch_add(1, Ordering::Relaxed)) } else { draw.text() };
                sender.deliver(&text).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
}

/// A text to be sent.
struct Draft {
    sid: String,
    sender: u64,
    kind: Kind,
    again: bool,
}

impl Draft {
    /// An ordinary text.
    fn of(sender: u64) -> Self {
        Self { sid: message_sid(), sender, kind: Kind::Text, again: false }
    }
}

/// Draws texts.
struct Draw {
    dice: Dice,
    /// Where each sender's share of all texts ends, by Zipf's law: the second texts half as often as the first.
    ends: Vec<f64>,
    first: u64,
}

impl Draw {
    fn new(flow: &Flow) -> Self {
        let mut sum = 0.0;
        let share = |rank: u64| {
            sum += 1.0 / (rank + 1) as f64;
            sum
        };
        Self { dice: Dice::new(flow.seed), ends: (0..flow.senders).map(share).collect(), first: flow.first }
    }

    fn text(&mut self) -> Draft {
        let kind = match self.dice.below(1_000) {
            0..5 => Kind::Stop,
            5..10 => Kind::Forged,
            _ => Kind::Text,
        };
        let last = self.ends.last().copied().unwrap();
        let point = self.dice.below(1 << 40) as f64 / (1_u64 << 40) as f64 * last;
        let rank = self.ends.partition_point(|end| *end <= point) as u64;
        // Somebody who has texted before stops, so that there may be something on its way to them.
        let index = match (kind, self.dice.below(200)) {
            (Kind::Stop, _) | (Kind::Text, 0) => STOPPERS + self.first + self.dice.below(500),
            _ => self.first + rank,
        };
        Draft { sid: message_sid(), sender: index, kind, again: self.dice.below(20) == 0 }
    }
}

/// Twilio's side.
struct Sender {
    hook: Hook,
    forger: Hook,
    books: Arc<Books>,
}

impl Sender {
    fn new(hook: &Hook, books: Arc<Books>) -> Self {
        let client = reqwest::Client::builder()
            .timeout(READ)
            .connect_timeout(Duration::from_secs(2))
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(Duration::from_secs(2))
            .no_proxy()
            .build()
            .unwrap();
        let hook = Hook { client, ..hook.clone() };
        let forger = Hook { token: SecretString::from("somebody-else's-token"), ..hook.clone() };
        Self { hook, forger, books }
    }

    /// Sends a text until it is taken, refused or given up; one in twenty that was taken once more.
    async fn deliver(&self, text: &Draft) {
        let start = Instant::now();
        for pause in PAUSES.map(Duration::from_millis).into_iter().chain([Duration::ZERO]) {
            match self.send(text).await {
                200 => {
                    if text.again {
                        self.send(text).await;
                    }
                    return;
                }
                403 => return,
                _ if start.elapsed() + pause > PATIENCE => return,
                _ => tokio::time::sleep(pause).await,
            }
        }
    }

    /// One request; 0 when there was no answer.
    async fn send(&self, text: &Draft) -> u16 {
        let (hook, body) = match text.kind {
            Kind::Text | Kind::Strange => (&self.hook, "is anybody there?"),
            Kind::Stop => (&self.hook, "STOP"),
            Kind::Forged => (&self.forger, "let me in"),
        };
        let sent = Instant::now();
        let answer = hook.text(&text.sid, &person(text.sender), body).await;
        let status = answer.map_or(0, |answer| answer.status().as_u16());
        self.books.write(&text.sid, text.kind, text.sender, sent, status);
        status
    }
}
