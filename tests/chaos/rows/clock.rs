//! Row 9: processes whose clocks are ten minutes off, each its own way, and step while they run (libfaketime).

use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// A role's clock: a file that says how far it is off.
struct Clock(PathBuf);

impl Clock {
    fn set(&self, off: &str) {
        std::fs::write(&self.0, off).unwrap();
    }

    /// Ends the role and starts it again under this clock.
    async fn start(&self, role: &Role, library: &Path) {
        role.kill();
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
    let turns = [["+600", "-600"], ["-600", "+600"], ["+0", "+0"], ["+600", "+600"]];
    clocks.iter().zip(turns[0]).for_each(|(clock, off)| clock.set(off));
    for (clock, worker) in clocks.iter().zip(&scene.stage.workers) {
        clock.start(worker, library).await;
    }
    // The clocks step while everything runs; and a worker is killed with a claim in hand, so that the other takes over
    // what its lease, by the database's clock, lets go.
    for off in turns {
        clocks.iter().zip(off).for_each(|(clock, off)| clock.set(off));
        tokio::time::sleep(hold).await;
        clocks[0].start(&scene.stage.workers[0], library).await;
    }
    scene.faulty();
    // Nobody can skew a Go program this way: all others are off instead, which is the same to nats-server.
    scene.outcome.figure("skew_s", 600);
    scene.outcome.figure("steps", turns.len());
    scene.close(Expected::default()).await
}
