//! Against what people use today for the same work.

use anyhow::Result;

use super::ingest::CONNECTIONS;
use crate::finding::{Finding, Goal};
use crate::plan::Plan;
use crate::stage::broker::{Broker, Sync};
use crate::stage::front::{Front, Turn};

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("express", plan.more_rounds() * 4 + 2);
    let mut found = against(plan, 1, Goal::RatioAtLeast(12.0)).await?;
    found.extend(against(plan, 2, Goal::RatioAtLeast(9.0)).await?);
    Ok(found)
}

async fn against(plan: &Plan, processes: usize, goal: Goal) -> Result<Vec<Finding>> {
    plan.progress.step("starting and warming up");
    let broker = Broker::start(Sync::Default).await?;
    let ours = Front::casewire(&plan.programs, &broker).await?;
    let express = Front::express(&broker, processes).await?;
    let (name, length) = (express.name, plan.window());
    let mut ours = Turn::warmed(&ours, &broker, CONNECTIONS, length).await?;
    let mut express = Turn::warmed(&express, &broker, CONNECTIONS, length).await?;
    let rounds = plan
        .turns(
            plan.more_rounds(),
            ["casewire", name],
            async || ours.closed(CONNECTIONS, length).await,
            async || express.closed(CONNECTIONS, length).await,
        )
        .await?;
    let rates = rounds.iter().map(|(ours, express)| (ours.rate, express.rate));
    let cpu = rounds.iter().map(|(ours, express)| (ours.cpu, express.cpu));
    let least = Goal::RatioAtMost(1.0 / 12.0);
    Ok(vec![
        Finding::compared(&format!("ingest and {name}: webhooks"), "/s", name, rates, goal),
        Finding::compared(&format!("ingest and {name}: processor time of 10,000"), "s", name, cpu, least),
    ])
}
