//! How long webhooks take that come at their time, at half of what ingest can take.

use anyhow::Result;

use super::ingest::CONNECTIONS;
use crate::finding::{Finding, Goal, figure};
use crate::plan::Plan;
use crate::stage::broker::{Broker, Sync};
use crate::stage::front::{Front, Turn};

/// Enough that a request seldom waits for a free one; one that does is charged for it.
const OPEN_CONNECTIONS: usize = 256;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("open-loop", plan.more_rounds() * 2 + 1);
    plan.progress.step("starting, and finding the capacity");
    let broker = Broker::start(Sync::Default).await?;
    let (ours, raw) =
        (Front::casewire(&plan.programs, &broker).await?, Front::raw_limit(&plan.programs, &broker).await?);
    let length = plan.window();
    let mut ours = Turn::warmed(&ours, &broker, CONNECTIONS, length).await?;
    let mut raw = Turn::warmed(&raw, &broker, CONNECTIONS, length).await?;
    // The same load for both.
    let half = ours.rate() / 2.0;
    let rounds = plan
        .turns(
            plan.more_rounds(),
            ["casewire", "raw limit"],
            async || ours.open(OPEN_CONNECTIONS, half, length).await,
            async || raw.open(OPEN_CONNECTIONS, half, length).await,
        )
        .await?;
    let note = format!(
        "at {} webhooks/s, half of the capacity; the server knows the ids of one window",
        figure(half)
    );
    let p50 = rounds.iter().map(|(ours, raw)| (ours.p50, raw.p50));
    let p99 = rounds.iter().map(|(ours, raw)| (ours.p99, raw.p99));
    Ok(vec![
        Finding::compared("ingest at half of its capacity: p50", "ms", "raw limit", p50, Goal::None)
            .noting(&note),
        Finding::compared("ingest at half of its capacity: p99", "ms", "raw limit", p99, Goal::AtMost(15.0))
            .noting(&note),
    ])
}
