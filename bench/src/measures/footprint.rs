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

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("footprint", plan.rounds * 2 + 1);
    plan.progress.step("starting");
    let broker = Broker::start(Sync::Default).await?;
    let small = plan.rounds("a start, and 256 connections", async || small(plan, &broker).await).await?;
    let of = |part: fn(&Small) -> f64| small.iter().map(part).collect::<Vec<_>>();
    let growth = plan.rounds("many webhooks", async || growth(plan, &broker).await).await?;
    let size = std::fs::metadata(plan.programs.casewire())?.len() as f64 / f64::from(1 << 20);
    let webhooks = plan.size("10⁶", "50,000");
    Ok(vec![
        Finding::alone("ingest: start to ready", "ms", of(|small| small.start), Goal::AtMost(100.0)),
        Finding::alone("ingest: memory, idle", "MiB", of(|small| small.idle), Goal::AtMost(20.0)),
        Finding::alone(
            "ingest: memory at 256 connections",
            "MiB",
            of(|small| small.many),
            Goal::AtMost(64.0),
        ),
        Finding::compared(
            &format!("ingest: memory after {webhooks} webhooks"),
            "MiB",
            "after a tenth of them",
            growth,
            // Flat: what an allocator keeps for itself is no growth.
            Goal::RatioAtMost(1.1),
        ),
        Finding::alone("size of the program", "MiB", [size], Goal::AtMost(40.0)),
    ])
}

/// What a fresh process was found to take.
struct Small {
    /// Milliseconds from its start until it says that it is ready.
    start: f64,
    /// MiB, with nothing to do.
    idle: f64,
    /// The most MiB with 256 connections.
    many: f64,
}

async fn small(plan: &Plan, broker: &Broker) -> Result<Small> {
    let mut texts = line::texts(Senders::new(20_000));
    let requests = texts.requests(CHUNK / 4);
    let began = Instant::now();
    let front = Front::casewire(&plan.programs, broker).await?;
    let start = began.elapsed().as_secs_f64() * 1000.0;
    let pid = front.process.pid();
    // Its threads have started when it says that it is ready; a second more, and nothing is left to do.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = vitals::memory_mib(pid)?;
    front.window(broker, requests, Load::Closed { connections: MANY_CONNECTIONS }).await?;
    Ok(Small { start, idle, many: vitals::most_memory_mib(pid)? })
}

/// MiB after many webhooks, and after a tenth of them.
async fn growth(plan: &Plan, broker: &Broker) -> Result<(f64, f64)> {
    let front = Front::casewire(&plan.programs, broker).await?;
    let pid = front.process.pid();
    let mut texts = line::texts(Senders::new(20_000));
    let mut first = None;
    for _ in 0..10 {
        let requests = texts.requests(plan.size(CHUNK, CHUNK / 20));
        front.window(broker, requests, Load::Closed { connections: CONNECTIONS }).await?;
        first = Some(first.map_or(vitals::memory_mib(pid), Ok)?);
    }
    Ok((vitals::memory_mib(pid)?, first.unwrap_or_default()))
}
