//! Row 16: a new version takes over role by role, under load, with its migration.

use std::path::PathBuf;
use std::time::Duration;

use super::{Knobs, Outcome, Scene};
use crate::invariants::Expected;
use crate::load::Flow;
use crate::plan::Plan;

/// Where `scripts/chaos-old.sh` puts the program of an earlier version, built in the same profile.
fn old() -> PathBuf {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/chaos-old");
    PathBuf::from(folder).join(profile).join("casewire")
}

pub(crate) async fn rolling(knobs: Knobs) -> Outcome {
    let old = old();
    if !old.is_file() {
        return Outcome::not_run("needs the program of an earlier version: run scripts/chaos-old.sh");
    }
    let hold = Duration::from_secs(knobs.of(10, 3));
    let flow = Flow::open(knobs.rate(), 2_000, knobs.seed);
    let mut scene = Scene::open(Plan::of(2, 2).program(old), knobs, flow).await;
    tokio::time::sleep(hold).await;
    scene.faulty();
    scene.stage.command(&["migrate"]).await;
    // The old version works on the new schema for as long as it takes.
    tokio::time::sleep(hold).await;
    let stage = scene.stage.clone();
    for role in [&stage.workers[0], &stage.ingests[0], &stage.workers[1], &stage.ingests[1]] {
        role.end().await;
        role.start().await;
        // Both versions work side by side.
        tokio::time::sleep(hold).await;
    }
    drop(stage);
    scene.faulty();
    let unanswered = scene.books().answered(503) + scene.books().answered(0);
    scene.outcome.figure("requests_tried_again", unanswered);
    scene.finish_now().await;
    let given_up = scene.books().given_up();
    scene.outcome.figure("failed_webhooks", given_up);
    scene.outcome.insist(given_up == 0, || format!("{given_up} webhooks failed"));
    scene.close(Expected::default()).await
}
