//! How near ingest comes to a handler that does nothing but publish.

use anyhow::Result;

use crate::finding::{Finding, Goal};
use crate::plan::Plan;
use crate::stage::broker::{Broker, Sync};
use crate::stage::front::{Front, Sample, Turn};

pub(crate) const CONNECTIONS: usize = 64;
const RAW: &str = "raw limit";

/// Everything durable: the server acknowledges nothing before it is on the disk.
pub(crate) async fn durable(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("headline", plan.more_rounds() * 2 + 1);
    let rounds = against_raw(plan, Sync::Always).await?;
    let rates = rounds.iter().map(|(ours, raw)| (ours.rate, raw.rate));
    let name = "ingest, everything durable: webhooks";
    Ok(vec![Finding::compared(name, "/s", RAW, rates, Goal::RatioAtLeast(0.85))])
}

/// The server syncs as it does by default.
pub(crate) async fn as_it_comes(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("ingest", plan.more_rounds() * 2 + 1);
    let rounds = against_raw(plan, Sync::Default).await?;
    let of = |figure: fn(&Sample) -> f64| rounds.iter().map(move |(ours, raw)| (figure(ours), figure(raw)));
    let compared = |name: &str, unit: &str, figure: fn(&Sample) -> f64, goal| {
        Finding::compared(name, unit, RAW, of(figure), goal)
    };
    Ok(vec![
        compared("ingest: webhooks", "/s", |sample| sample.rate, Goal::RatioAtLeast(0.85)),
        compared("ingest: p50", "ms", |sample| sample.p50, Goal::RatioAtMost(1.2)),
        compared("ingest: p99", "ms", |sample| sample.p99, Goal::RatioAtMost(1.3)),
        compared("ingest: processor time of 10,000", "s", |sample| sample.cpu, Goal::None),
    ])
}

async fn against_raw(plan: &Plan, sync: Sync) -> Result<Vec<(Sample, Sample)>> {
    plan.progress.step("starting and warming up");
    let broker = Broker::start(sync).await?;
    let (ours, raw) =
        (Front::casewire(&plan.programs, &broker).await?, Front::raw_limit(&plan.programs, &broker).await?);
    let length = plan.window();
    let mut ours = Turn::warmed(&ours, &broker, CONNECTIONS, length).await?;
    let mut raw = Turn::warmed(&raw, &broker, CONNECTIONS, length).await?;
    plan.turns(
        plan.more_rounds(),
        ["casewire", RAW],
        async || ours.closed(CONNECTIONS, length).await,
        async || raw.closed(CONNECTIONS, length).await,
    )
    .await
}
