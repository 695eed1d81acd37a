//! The rows of the fault matrix.

mod clock;
mod crash;
mod disk;
mod events;
mod frozen;
mod network;
mod provider;
mod quorum;
mod upgrade;
mod wiped;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::board::Board;
use crate::books::Books;
use crate::found::Found;
use crate::invariants::{Broken, Expected};
use crate::load::{Flow, Load};
use crate::plan::Plan;
use crate::stage::Stage;
use crate::vitals::Vitals;

/// How much of a row is played, and from which seed.
#[derive(Clone)]
pub(crate) struct Knobs {
    pub(crate) seed: u64,
    /// All of it, or the part that `cargo test` has time for.
    pub(crate) full: bool,
    /// Texts a second.
    pub(crate) rate: Option<f64>,
    pub(crate) texts: Option<u64>,
    pub(crate) kills: Option<u64>,
    /// Where it tells how it goes.
    pub(crate) board: Board,
}

impl Knobs {
    /// A number for the whole programme, unless it is the short one.
    pub(crate) fn of<T>(&self, full: T, short: T) -> T {
        if self.full { full } else { short }
    }

    /// What was asked for beside the seed.
    pub(crate) fn asked(&self) -> String {
        let knobs = [
            self.rate.map(|rate| format!("--rate {rate}")),
            self.texts.map(|texts| format!("--texts {texts}")),
            self.kills.map(|kills| format!("--kills {kills}")),
        ];
        knobs.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Texts a second of an open loop: what this build can do beside everything else on two cores. Many rows take half of
    /// it, and no row of a release build has fewer than 200 unless it was asked for.
    pub(crate) fn rate(&self) -> f64 {
        self.rate.unwrap_or(if cfg!(debug_assertions) { 60.0 } else { 400.0 })
    }
}

/// What came of a row.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) figures: Map<String, Value>,
    pub(crate) broken: Vec<Broken>,
    /// What holds, though not as expected, and why.
    pub(crate) notes: Vec<String>,
    /// Why it could not be played here.
    pub(crate) not_run: Option<String>,
}

impl Outcome {
    pub(crate) fn not_run(why: &str) -> Self {
        Self { not_run: Some(why.to_owned()), ..Self::default() }
    }

    /// Adds what came of another part of the row.
    pub(crate) fn join(&mut self, part: &str, other: Self) {
        for (name, value) in other.figures {
            let sum = SUMS.contains(&name.as_str()).then(|| self.figures.get(&name)?.as_u64()).flatten();
            match (sum, value.as_u64()) {
                (Some(one), Some(other)) => self.figures.insert(name, json!(one + other)),
                _ => self.figures.insert(format!("{part}_{name}"), value),
            };
        }
        self.notes.extend(other.notes.into_iter().map(|note| format!("{part}: {note}")));
        let broken = other.broken.into_iter();
        self.broken.extend(broken.map(|b| Broken { how: format!("{part}: {}", b.how), ..b }));
    }

    pub(crate) fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// Insists on something beside the invariants.
    pub(crate) fn insist(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(Broken { invariant: "expected", how: what() });
        }
    }
}

/// Figures that are added up over the parts of a row.
const SUMS: &[&str] = &[
    "texts",
    "acked",
    "requests",
    "answered_503",
    "lost",
    "doubled",
    "dead_letters",
    "cases",
    "sent",
    "held",
];

type Playing = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One row of the matrix.
pub(crate) struct Row {
    pub(crate) number: u32,
    pub(crate) fault: &'static str,
    pub(crate) expect: &'static str,
    /// Whether `cargo test` plays it too, shortened.
    pub(crate) quick: bool,
    pub(crate) play: fn(Knobs) -> Playing,
}

/// Every row that there is: number, whether `cargo test` plays it, what plays it, fault, and what is expected.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<Row> {
    macro_rules! row {
        ($number:literal, $quick:literal, $play:path, $fault:literal, $expect:literal) => {
            Row { number: $number, fault: $fault, expect: $expect, quick: $quick, play: |knobs| Box::pin($play(knobs)) }
        };
    }
    vec![
        row!(1, true, crash::ingest, "kill -9 ingest", "callers retry; 0 lost; back in 1 s"),
        row!(2, true, crash::worker, "kill -9 worker, SIGTERM", "redelivered; no effect twice; drained in 10 s"),
        row!(3, true, crash::nats, "kill -9 nats-server", "same-id retry; 0 acknowledged lost"),
        row!(4, true, crash::postgres, "kill -9 postgres", "waits; 0 dead letters; drains at 5 times the arrival rate"),
        row!(5, false, frozen::each, "SIGSTOP of each process", "answered in 3 s: 200 or 503; no hang"),
        row!(6, false, network::links, "every link cut, swallowed, late, reset, dripping, dead", "a dead peer is found in 30 s"),
        row!(7, false, disk::full, "disk full under stream, database, spill", "503 or spill; 0 acknowledged lost"),
        row!(8, false, disk::stream_full, "stream full", "503 or spill; 0 dropped"),
        row!(9, false, clock::skewed, "clocks off by 10 min, and stepping", "leases by the database's clock: nothing twice"),
        row!(10, true, events::poison, "poison between texts", "set aside; the rest flows"),
        row!(11, false, provider::ambiguous, "accepted, but no readable answer", "settled by callback or list; 0 doubles"),
        row!(12, false, provider::storms, "429 storm, 500 storm", "429 is tried again, 500 is not; 0 doubles"),
        row!(13, true, events::repeated, "each SID 50 times, past restart and window", "one effect"),
        row!(14, true, provider::callbacks, "callbacks 10 times, out of order, before the 201", "the furthest state, always"),
        row!(15, false, provider::automatons, "two auto-responders", "at most 3 replies in 10 min"),
        row!(16, false, upgrade::rolling, "rolling upgrade with a migration", "0 failed webhooks"),
        row!(17, false, wiped::stream, "stream wiped with a backlog", "all back after one sweep"),
        row!(18, false, quorum::three, "three nats-servers: leader killed, node cut off", "0 acknowledged lost"),
    ]
}

/// A row that is under way: a stage, a load, and the clock of its fault.
pub(crate) struct Scene {
    pub(crate) stage: Arc<Stage>,
    pub(crate) knobs: Knobs,
    load: Option<Load>,
    baseline: Vec<Option<Vitals>>,
    began: Instant,
    fault: Option<(Instant, Instant)>,
    pub(crate) outcome: Outcome,
}

/// Webhooks are answered so soon during any fault, all but one in a hundred; a debug build takes its time beside it.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 3 });

/// Every text is stored, and everything settled, this soon after the end of fault and load.
const IN_TIME: Duration = Duration::from_secs(60);

/// Unless more wait than are stored in that time at this rate, a second: less is no backlog, but slowness.
const LEAST: f64 = if cfg!(debug_assertions) { 50.0 } else { 500.0 };

/// Texts that bring everything to working temperature before the baseline is taken.
const WARM_UP: u64 = 100;

impl Scene {
    /// Starts a stage, warms it up, and lets the load flow.
    pub(crate) async fn open(plan: Plan, knobs: Knobs, flow: Flow) -> Self {
        let mut scene = Self::quiet(plan, knobs).await;
        scene.flow(flow);
        scene
    }

    /// The same without a load.
    pub(crate) async fn quiet(plan: Plan, knobs: Knobs) -> Self {
        let stage = Arc::new(plan.start().await);
        knobs.board.watch(&stage);
        let warm = Flow { first: 4_000_000, ..Flow::closed(8, WARM_UP, 50, 0) };
        Load::start(&stage.hook, warm, stage.books.clone()).end().await;
        let _ = stage.settle(Duration::from_secs(60)).await;
        let baseline = stage.vitals();
        Self {
            stage,
            knobs,
            load: None,
            baseline,
            began: Instant::now(),
            fault: None,
            outcome: Outcome::default(),
        }
    }

    pub(crate) fn flow(&mut self, flow: Flow) {
        self.began = Instant::now();
        self.load = Some(Load::start(&self.stage.hook, flow, self.stage.books.clone()));
    }

    /// Whether the load has sent all it should.
    pub(crate) fn is_done(&self) -> bool {
        self.load.as_ref().is_none_or(Load::is_done)
    }

    pub(crate) fn books(&self) -> &Books {
        &self.stage.books
    }

    /// The fault begins, or goes on; latencies are of what is sent from the first call to the last.
    pub(crate) fn faulty(&mut self) {
        let now = Instant::now();
        let since = self.fault.map_or(now, |(since, _)| since);
        self.fault = Some((since, now));
    }

    /// Waits until the load has sent all it should.
    pub(crate) async fn finish(&mut self) {
        if let Some(load) = self.load.take() {
            load.end().await;
        }
    }

    /// Ends the load, and waits until every text is taken or given up.
    pub(crate) async fn finish_now(&mut self) {
        if let Some(load) = self.load.take() {
            load.stop().await;
        }
    }

    /// Ends the load, lets everything settle, and holds all ledgers against each other.
    pub(crate) async fn close(mut self, expected: Expected) -> Outcome {
        let window = self.fault.unwrap_or((self.began, Instant::now()));
        self.finish_now().await;
        let flowed = self.began.elapsed();
        let within = Duration::from_secs(self.knobs.of(600, 120));
        let waiting = self.stage.waiting().await;
        match self.stage.settle(within).await {
            Ok(took) => self.settled(took, waiting),
            Err(left) => self.outcome.insist(false, || format!("after {within:?} {left}")),
        }
        let found = self.stage.found().await;
        self.tell(&found, window, flowed);
        self.outcome.broken.extend(found.broken(&expected));
        let strange = self.books().strange(self.began);
        let none = strange.is_empty();
        self.outcome
            .insist(none, || format!("answers were neither 200 nor 403 nor 503, by status: {strange:?}"));
        self.stage.rest(&self.baseline, &mut self.outcome).await;
        self.outcome
    }

    /// All was settled so long after the load's end, when so many texts were not stored yet: within a minute, unless
    /// they were more than that; then the row says so.
    fn settled(&mut self, took: Duration, waiting: u64) {
        let seconds = took.as_secs_f64();
        self.outcome.figure("settled_s", round(seconds));
        if took <= IN_TIME {
            return;
        }
        let rate = round(waiting as f64 / seconds);
        let how = format!(
            "settled {} s after the load's end instead of 60: {waiting} texts waited then, and {rate} a second were stored",
            round(seconds)
        );
        if rate >= LEAST { self.outcome.notes.push(how) } else { self.outcome.insist(false, || how) }
    }

    fn tell(&mut self, found: &Found, (from, to): (Instant, Instant), flowed: Duration) {
        let (texts, requests, late) = self.books().sizes();
        let latency = self.books().latency(from, to);
        self.outcome.insist(latency.p99 <= SOON, || format!("webhooks took {:?} (p99)", latency.p99));
        let (taken, refused) = (self.books().taken(), self.books().answered(503));
        let milliseconds = |time: Duration| round(time.as_secs_f64() * 1000.0);
        let figures = [
            ("texts", json!(texts)),
            ("acked", json!(taken)),
            ("requests", json!(requests)),
            ("answered_503", json!(refused)),
            ("late", json!(late)),
            ("seconds", json!(round(flowed.as_secs_f64()))),
            ("lost", json!(found.lost())),
            ("doubled", json!(found.doubled())),
            ("dead_letters", json!(found.dead)),
            ("cases", json!(found.cases.len())),
            ("sent", json!(found.sends.len())),
            ("held", json!(found.held())),
            ("p50_ms", json!(milliseconds(latency.p50))),
            ("p99_ms", json!(milliseconds(latency.p99))),
            ("max_ms", json!(milliseconds(latency.longest))),
        ];
        self.outcome.figures.extend(figures.map(|(name, value)| (name.to_owned(), value)));
    }
}

/// To a tenth.
pub(crate) fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
