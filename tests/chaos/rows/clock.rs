//! Row 9: processes whose clocks are ten minutes off, each its own way, and step while they run (libfaketime).

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Knobs, Outcome, Scene};
use crate::invariants::Expected;
use crate::kit::{Role, casewire};
use crate::load::Flow;
use crate::plan::Plan;

/// Where Debian's package `faketime` puts the library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// A clock is as far off as asked if it is by so many seconds: ending takes its time on a busy machine.
const NEARLY: u64 = 30;

/// A role's clock: a file that says how far it is off.
struct Clock(PathBuf);

impl Clock {
    /// Sets how many seconds it is off.
    fn set(&self, off: i64) {
        std::fs::write(&self.0, format!("{off:+}")).unwrap();
    }

    /// Starts a role that has ended, under this clock.
    async fn start(&self, role: &Role, library: &Path) {
        let start = casewire(&[role.name])
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            // What a clock shows jumps; what measures time does not.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        role.spawn_from(start);
        role.ready().await;
    }
}

/// How far the clock of a role that was just asked to end was off, in seconds: what it logged says when that was, by its
/// clock.
fn off(role: &Role) -> Option<i64> {
    let log = role.log();
    let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = lines.find(|line| line["event"] == "shutdown")?;
    let said: DateTime<Utc> = said["timestamp"].as_str()?.parse().ok()?;
    Some((said - Utc::now()).num_seconds())
}

pub(crate) async fn skewed(knobs: Knobs) -> Outcome {
    let Some(library) = LIBRARIES.into_iter().map(Path::new).find(|path| path.is_file()) else {
        return Outcome::not_run("needs libfaketime (Debian's package `faketime`)");
    };
    let hold = Duration::from_secs(knobs.of(20, 5));
    let flow = Flow::open(knobs.rate() / 2.0, 2_000, knobs.seed);
    let mut scene = Scene::open(Plan::of(1, 2), knobs, flow).await;
    scene.faulty();
    let folder = scene.stage.folder.path();
    let clocks = [Clock(folder.join("clock-0")), Clock(folder.join("clock-1"))];
    let turns = [[600, -600], [-600, 600], [0, 0], [600, 600]];
    for ((clock, off), worker) in clocks.iter().zip(turns[0]).zip(&scene.stage.workers) {
        clock.set(off);
        worker.kill();
        clock.start(worker, library).await;
    }
    // The clocks step while everything runs; and a worker is killed with a claim in hand, so that the other takes over
    // what its lease, by the database's clock, lets go. That one then ends politely, and says by which clock.
    for (turn, asked) in turns.into_iter().enumerate() {
        clocks.iter().zip(asked).for_each(|(clock, off)| clock.set(off));
        tokio::time::sleep(hold).await;
        let (killed, ended) = (turn % 2, 1 - turn % 2);
        scene.stage.workers[killed].kill();
        clocks[killed].start(&scene.stage.workers[killed], library).await;
        scene.stage.workers[ended].end().await;
        let (found, asked) = (off(&scene.stage.workers[ended]), asked[ended]);
        scene.outcome.figure(&format!("off_s_worker_{ended}_turn_{turn}"), found);
        scene.outcome.insist(found.is_some_and(|found| found.abs_diff(asked) <= NEARLY), || {
            format!("the clock of worker {ended} was off by {found:?} s, and not by {asked} s")
        });
        clocks[ended].start(&scene.stage.workers[ended], library).await;
    }
    scene.faulty();
    // Nobody can skew a Go program this way: all others are off instead, which is the same to nats-server.
    scene.outcome.figure("skew_s", 600);
    scene.outcome.figure("steps", turns.len());
    scene.close(Expected::default()).await
}
