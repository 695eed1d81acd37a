//! What ingest costs a machine that has little: start, memory, size.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::ingest::CONNECTIONS;
use crate::finding::{Finding, Goal};
use crate::load::Senders;
use crate::plan::Plan;
use crate::stage::broker::{Broker, Sync};
use crate::stage::front::{Front, Load};
use crate::stage::line;
use crate::vitals;

const MANY_CONNECTIONS: usize = 256;
/// Webhooks of one window: requests are made before it, and lie in memory.
const CHUNK: usize = 100_000;

/// What one process was found to take, in MiB.
#[derive(Clone, Copy)]
struct Memory {
    idle: f64,
    many: f64,
    later: f64,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("footprint", plan.rounds + 3);
    plan.progress.step("starting");
    let broker = Broker::start(Sync::Default).await?;
    let starts = plan.rounds("start to ready", async || start(plan, &broker).await).await?;
    let Memory { idle, many, later } = memory(plan, &broker).await?;
    let size = std::fs::metadata(plan.programs.casewire())?.len() as f64 / f64::from(1 << 20);
    let webhooks = plan.size("10⁶", "25,000");
    Ok(vec![
        Finding::alone("ingest: start to ready", "ms", starts, Goal::AtMost(100.0)),
        Finding::alone("ingest: memory, idle", "MiB", [idle], Goal::AtMost(20.0)),
        Finding::alone("ingest: memory at 256 connections", "MiB", [many], Goal::AtMost(64.0)),
        Finding::compared(
            &format!("ingest: memory after {webhooks} webhooks"),
            "MiB",
            "at 256 connections",
            [(later, many)],
            // Flat: what an allocator keeps for itself is no growth.
            Goal::RatioAtMost(1.1),
        ),
        Finding::alone("size of the program", "MiB", [size], Goal::AtMost(40.0)),
    ])
}

/// Milliseconds from the start of the process until it says that it is ready.
async fn start(plan: &Plan, broker: &Broker) -> Result<f64> {
    let began = Instant::now();
    let _front = Front::casewire(&plan.programs, broker).await?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

async fn memory(plan: &Plan, broker: &Broker) -> Result<Memory> {
    let front = Front::casewire(&plan.programs, broker).await?;
    let pid = front.process.pid();
    // Its threads have started when it says that it is ready; a second more, and nothing is left to do.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = vitals::memory_mib(pid)?;
    let mut texts = line::texts(Senders::new(20_000));
    plan.progress.step("256 connections");
    let some = texts.requests(CHUNK / 4);
    front.window(broker, some, Load::Closed { connections: MANY_CONNECTIONS }).await?;
    let many = vitals::memory_mib(pid)?;
    plan.progress.step("many webhooks");
    for _ in 0..plan.size(10, 1) {
        let requests = texts.requests(plan.size(CHUNK, CHUNK / 4));
        front.window(broker, requests, Load::Closed { connections: CONNECTIONS }).await?;
    }
    Ok(Memory { idle, many, later: vitals::memory_mib(pid)? })
}
