//! Row 5: every process frozen in turn (SIGSTOP): connections stay open and nothing answers.

use std::time::{Duration, Instant};

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::load::Flow;
use crate::plan::Plan;
use crate::stage::Stage;

/// The answer of ingest whatever is frozen behind it.
const NO_LATER: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ingest,
    Worker,
    Nats,
    Postgres,
}

impl Who {
    async fn freeze(self, stage: &Stage) {
        match self {
            Self::Ingest => stage.ingests[0].process().pause().await,
            Self::Worker => stage.workers[0].process().pause().await,
            Self::Nats => stage.nats.pause().await,
            Self::Postgres => stage.postgres.pause().await,
        }
        .unwrap();
    }

    fn thaw(self, stage: &Stage) {
        match self {
            Self::Ingest => stage.ingests[0].process().resume(),
            Self::Worker => stage.workers[0].process().resume(),
            Self::Nats => stage.nats.resume(),
            Self::Postgres => stage.postgres.resume(),
        }
        .unwrap();
    }
}

pub(crate) async fn each(knobs: Knobs) -> Outcome {
    let pauses: &[u64] = knobs.of(&[5, 30], &[4]);
    let longest: &[(Who, u64)] = knobs.of(&[(Who::Nats, 120), (Who::Worker, 120)], &[]);
    let everybody = [Who::Ingest, Who::Worker, Who::Nats, Who::Postgres];
    let turns = pauses.iter().flat_map(|pause| everybody.map(|who| (who, *pause)));
    let turns: Vec<_> = turns.chain(longest.iter().copied()).collect();
    let flow = Flow::open(knobs.rate() / 2.0, 2_000, knobs.seed);
    let plan =
        Plan::of(2, 2).set("DATABASE__STATEMENT_TIMEOUT", "5s").set("DATABASE__TRANSACTION_TIMEOUT", "8s");
    let mut scene = Scene::open(plan, knobs, flow).await;
    let mut longest = Duration::ZERO;
    for (who, seconds) in turns {
        scene.faulty();
        let start = Instant::now();
        who.freeze(&scene.stage).await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        who.thaw(&scene.stage);
        let during = scene.books().latency(start, Instant::now());
        longest = longest.max(start.elapsed());
        scene.outcome.figure(
            &format!("p99_ms_{who:?}_{seconds}s").to_lowercase(),
            round(during.p99.as_secs_f64() * 1000.0),
        );
        // One that is frozen itself cannot answer: its callers give up and come to the other.
        scene.outcome.insist(who == Who::Ingest || during.p99 <= NO_LATER, || {
            format!("with {who:?} frozen the answers took {:?} at the 99th percentile", during.p99)
        });
        let back = scene.stage.flows_again(Duration::from_secs(60)).await;
        scene.outcome.figure(&format!("back_s_{who:?}_{seconds}s").to_lowercase(), round(back.as_secs_f64()));
    }
    scene.faulty();
    scene.close(Expected { frozen: longest.as_secs_f64() * 1000.0, ..Expected::default() }).await
}
