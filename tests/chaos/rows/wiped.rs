//! Row 17: the stream's storage is wiped with texts in it that were answered 200 and not handled yet.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::plan::Plan;
use crate::stage::Stage;

/// Texts under way at once.
const AT_ONCE: usize = 32;

/// Texts of these people, from their handsets: the provider's own list knows them.
async fn text(stage: &Stage, people: std::ops::Range<u64>) {
    stream::iter(people)
        .for_each_concurrent(AT_ONCE, async |sender| {
            stage.handset(sender, "is anybody there?").await;
        })
        .await;
}

pub(crate) async fn stream(knobs: Knobs) -> Outcome {
    let texts = knobs.texts.unwrap_or(knobs.of(5_000, 200));
    // What is younger is taken for being in work.
    let mut scene = Scene::quiet(Plan::of(1, 2).set("WORKER__SWEEP_SETTLE", "1s"), knobs).await;
    text(&scene.stage, 0..texts / 2).await;
    let settled = scene.stage.settle(Duration::from_secs(120)).await;
    scene.outcome.insist(settled.is_ok(), || format!("before the wipe: {settled:?}"));
    scene.stage.workers.iter().for_each(|worker| worker.kill());
    scene.faulty();
    text(&scene.stage, texts / 4..texts).await;
    let waiting = scene.stage.backlog().await.unwrap_or_default();
    scene.stage.nats.wipe().unwrap();
    scene.stage.nats.restart().await.unwrap();
    for worker in &scene.stage.workers {
        worker.start().await;
    }
    scene.stage.flows_again(Duration::from_secs(60)).await;
    let missing = scene.stage.found().await.lost();
    scene.faulty();
    let start = Instant::now();
    let (report, code) = scene.stage.reconcile().await;
    // Workers that notice the loss compare by themselves, and may have done so before anybody asked.
    let by_itself = "select count(*) from reconciliation where asked_by = 'loss' and finished_at is not null";
    let by_itself = scene.stage.count(by_itself).await;
    scene.outcome.insist(code == Some(3) || (code == Some(0) && by_itself > 0), || {
        format!("it ended with {code:?} though texts were missing: {report}")
    });
    scene.outcome.figure("compared_by_itself", by_itself);
    let back = async || scene.stage.found().await.lost() == 0;
    let all = casewire_testkit::eventually("all is back", Duration::from_secs(60), back).await;
    scene.outcome.insist(all.is_ok(), || format!("not all came back: {report}"));
    scene.outcome.figure("wiped", waiting);
    scene.outcome.figure("missing_before_the_sweep", missing);
    scene.outcome.figure("swept_s", round(start.elapsed().as_secs_f64()));
    scene.outcome.insist(waiting > 0, || "nothing was wiped".to_owned());
    scene.close(Expected::default()).await
}
