//! Rows 1 to 4: kill -9 of everything, again and again, under load.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::kit::{Dice, Role};
use crate::load::Flow;
use crate::plan::Plan;

/// Senders of the load.
const SENDERS: u64 = 2_000;
/// An ingest must take texts again this soon: a debug build on a busy machine, five times later.
const BACK: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// The pause before the next kill, around this long.
async fn pause(dice: &mut Dice, around: Duration) {
    let permille = u32::try_from(dice.below(1_000)).unwrap();
    tokio::time::sleep(around / 2 + around * permille / 1_000).await;
}

/// Starts a killed role again; how long until it is ready.
async fn again(role: &Role) -> Duration {
    let start = Instant::now();
    role.kill();
    role.start().await;
    start.elapsed()
}

/// Row 1: with the stream there, and with a spill while the stream comes and goes.
pub(crate) async fn ingest(knobs: Knobs) -> Outcome {
    let full = knobs.full.then(|| knobs.clone());
    let mut outcome = beside_the_stream(knobs).await;
    if let Some(knobs) = full {
        outcome.join("with_spill", beside_the_spill(knobs).await);
    }
    outcome
}

async fn beside_the_spill(knobs: Knobs) -> Outcome {
    let (kills, mut dice) = (knobs.kills.unwrap_or(100), Dice::new(knobs.seed));
    let folder = TempDir::new().unwrap();
    let plan = Plan::of(1, 1).set("INGEST__SPILL_DIR", &folder.path().to_string_lossy());
    let flow = Flow::open(knobs.rate() / 2.0, SENDERS, knobs.seed);
    let mut scene = Scene::open(plan, knobs, flow).await;
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        scene.faulty();
        match kill % 10 {
            0 => scene.stage.nats.kill().unwrap(),
            7 => scene.stage.nats.restart().await.unwrap(),
            _ => {}
        }
        pause(&mut dice, Duration::from_secs(1)).await;
        slowest = slowest.max(again(&scene.stage.ingests[0]).await);
    }
    scene.faulty();
    scene.stage.nats.restart().await.unwrap();
    scene.outcome.figure("kills", kills);
    scene.outcome.figure("back_ms", round(slowest.as_secs_f64() * 1000.0));
    scene.close(Expected::default()).await
}

async fn beside_the_stream(knobs: Knobs) -> Outcome {
    let (kills, mut dice) = (knobs.kills.unwrap_or(knobs.of(100, 6)), Dice::new(knobs.seed));
    let flow = Flow::open(knobs.rate(), SENDERS, knobs.seed);
    let mut scene = Scene::open(Plan::of(2, 2), knobs, flow).await;
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        scene.faulty();
        let role = &scene.stage.ingests[kill as usize % 2];
        slowest = slowest.max(again(role).await);
        pause(&mut dice, Duration::from_secs(1)).await;
    }
    scene.faulty();
    scene.outcome.figure("kills", kills);
    scene.outcome.figure("back_ms", round(slowest.as_secs_f64() * 1000.0));
    scene.outcome.insist(slowest <= BACK, || format!("an ingest was ready {slowest:?} after its kill"));
    scene.close(Expected::default()).await
}

pub(crate) async fn worker(knobs: Knobs) -> Outcome {
    let (kills, mut dice) = (knobs.kills.unwrap_or(knobs.of(100, 6)), Dice::new(knobs.seed));
    // Every fifth is a polite end.
    let flow = Flow::open(knobs.rate(), SENDERS, knobs.seed);
    let mut scene = Scene::open(Plan::of(1, 2), knobs, flow).await;
    let (mut ended, mut killed) = (Duration::ZERO, 0);
    for turn in 0..kills + kills.div_ceil(5) {
        scene.faulty();
        let role = &scene.stage.workers[turn as usize % 2];
        if turn % 6 == 2 {
            ended = ended.max(role.end().await);
            role.start().await;
        } else {
            again(role).await;
            killed += 1;
        }
        pause(&mut dice, Duration::from_millis(1_200)).await;
    }
    scene.faulty();
    scene.outcome.figure("kills", killed);
    scene.outcome.figure("ended_ms", round(ended.as_secs_f64() * 1000.0));
    let soon = Duration::from_secs(10);
    scene.outcome.insist(ended <= soon, || format!("a worker took {ended:?} to end"));
    scene.close(Expected::default()).await
}

pub(crate) async fn nats(knobs: Knobs) -> Outcome {
    let (kills, mut dice) = (knobs.kills.unwrap_or(knobs.of(100, 8)), Dice::new(knobs.seed));
    let texts = knobs.texts.unwrap_or(knobs.of(1_000_000, 1_500));
    // As many texts as two cores take, from few people: what counts is the stream.
    let flow = match knobs.rate {
        Some(rate) => Flow { texts: Some(texts), ..Flow::open(rate, SENDERS, knobs.seed) },
        None => Flow::closed(knobs.of(192, 32), texts, SENDERS, knobs.seed),
    };
    // nats-server makes its window of ids anew after each kill, and takes seconds for a large one: longer than the
    // clients' retries is enough here, and leaves more to the database's keys.
    let plan = Plan::of(1, 1).set("STREAM__MAX_BYTES", "1GiB").set("STREAM__DUPLICATE_WINDOW", "30s");
    let around = Duration::from_millis(knobs.of(4_000, 600));
    let mut scene = Scene::open(plan, knobs, flow).await;
    let mut killed = 0;
    while killed < kills || !scene.is_done() {
        scene.faulty();
        pause(&mut dice, around).await;
        if killed < kills || !scene.is_done() {
            scene.stage.nats.kill().unwrap();
            scene.stage.nats.restart().await.unwrap();
            killed += 1;
        }
        scene.faulty();
    }
    scene.outcome.figure("kills", killed);
    let taken = scene.books().taken();
    scene.outcome.insist(taken >= texts, || format!("only {taken} of {texts} texts were taken"));
    scene.close(Expected::default()).await
}

pub(crate) async fn postgres(knobs: Knobs) -> Outcome {
    let (kills, mut dice) = (knobs.kills.unwrap_or(knobs.of(100, 4)), Dice::new(knobs.seed));
    let rate = knobs.rate() / 2.0;
    let flow = Flow::open(rate, SENDERS, knobs.seed);
    let mut scene = Scene::open(Plan::of(1, 2), knobs, flow).await;
    for _ in 0..kills {
        scene.faulty();
        scene.stage.postgres.kill().unwrap();
        pause(&mut dice, Duration::from_millis(500)).await;
        scene.stage.postgres.restart().await.unwrap();
        pause(&mut dice, Duration::from_millis(800)).await;
    }
    // A longer outage at last, after which the drain is timed while texts go on coming.
    scene.stage.postgres.kill().unwrap();
    tokio::time::sleep(Duration::from_secs(scene.knobs.of(30, 10))).await;
    scene.faulty();
    scene.stage.postgres.restart().await.unwrap();
    let drain = scene.stage.drain(rate, Duration::from_secs(300)).await;
    let factor = drain.factor(rate);
    scene.outcome.figure("kills", kills + 1);
    scene.outcome.figure("backlog", drain.waited);
    scene.outcome.figure("resumed_s", round(drain.resumed.as_secs_f64()));
    scene.outcome.figure("drained_s", round(drain.took.as_secs_f64()));
    scene.outcome.figure("drain_factor", round(factor));
    // After a short outage the drain is mostly the pause after which what the workers held comes again: then it counts
    // that they went on soon.
    let drained = !scene.knobs.full || factor >= 5.0;
    scene.outcome.insist(drained, || format!("it drained at {factor:.1} times the arrival rate"));
    let soon = drain.resumed <= Duration::from_secs(15);
    scene
        .outcome
        .insist(soon, || format!("the workers went on {:?} after the database was back", drain.resumed));
    scene.close(Expected::default()).await
}
