//! How long it takes from a webhook to the commit of its case, with ingest and worker at a steady rate.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use casewire_testkit::{Casewire, eventually};
use chrono::{DateTime, Utc};

use super::worker::Stage;
use crate::finding::{Finding, Goal};
use crate::load::{self, Senders};
use crate::plan::Plan;
use crate::stage::books::Database;
use crate::stage::broker::Family;
use crate::stage::front::{ingest, local};
use crate::stage::line;
use crate::statistics::Latencies;

const A_SECOND: f64 = 300.0;
const CONNECTIONS: usize = 32;
const START: Duration = Duration::from_secs(60);

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("both-roles", plan.rounds + 1);
    plan.progress.step("starting");
    let stage = Stage::start(plan).await?;
    let database = stage.books.copy("roles").await?;
    let (listen, ops) = (local()?, local()?);
    let worker = stage.books.program(&plan.programs, &database, &["worker"]);
    let worker = worker.env("CASEWIRE_SERVER__LISTEN", local()?.to_string());
    let worker = worker.env("CASEWIRE_SERVER__OPS_LISTEN", ops.to_string()).spawn()?;
    worker.wait_until_ready(&format!("http://{ops}/readyz"), START).await?;
    let ops = local()?;
    let front = ingest(&plan.programs, &stage.broker.url(), listen, ops).spawn()?;
    front.wait_until_ready(&format!("http://{ops}/readyz"), START).await?;
    let both = Both { stage, database, address: listen, _processes: [worker, front] };
    both.window(Duration::from_secs(1)).await?;
    let length = plan.size(Duration::from_secs(20), Duration::from_secs(2));
    let rounds = plan.rounds("webhook to case", async || both.window(length).await).await?;
    // PostgreSQL takes the time of a commit before it brings it to the disk.
    let note = "300 webhooks/s, NATS on its default sync; from the intended time to PostgreSQL's commit timestamp, \
                which lacks the fsync that follows it";
    let of = |part: f64| rounds.iter().map(move |latencies| latencies.percentile(part));
    Ok(vec![
        Finding::alone("webhook to case committed, p50", "ms", of(0.5), Goal::AtMost(10.0)).noting(note),
        Finding::alone("webhook to case committed, p99", "ms", of(0.99), Goal::AtMost(50.0)).noting(note),
    ])
}

struct Both {
    stage: Stage,
    database: Database,
    address: std::net::SocketAddr,
    _processes: [Casewire; 2],
}

impl Both {
    async fn window(&self, length: Duration) -> Result<Latencies> {
        let count = (A_SECOND * length.as_secs_f64()) as usize;
        let mut texts = line::texts(Senders::new(20_000));
        let (requests, sids) = texts.requests_with_sids(count);
        let window = load::open(self.address, Arc::new(requests), CONNECTIONS, A_SECOND).await?;
        eventually("every text is in a case", START, async || {
            self.committed(window.began).await.is_ok_and(|committed| committed.len() == count)
        })
        .await?;
        let committed = self.committed(window.began).await?;
        let mut all = Vec::with_capacity(count);
        for (index, sid) in sids.iter().enumerate() {
            let due = window.began + Duration::from_secs_f64(index as f64 / A_SECOND);
            let at = committed.get(sid).with_context(|| format!("text {index} is in no case"))?;
            // A commit cannot come before the text: the clocks are one.
            all.push(at.signed_duration_since(due).to_std().context("a case came before its text")?);
        }
        ensure!(all.len() == count, "{count} texts were sent, {} found", all.len());
        self.stage.broker.purge(Family::Casewire).await?;
        Ok(Latencies::new(all))
    }

    /// When the transaction of each text since then was committed.
    async fn committed(&self, since: DateTime<Utc>) -> Result<HashMap<String, DateTime<Utc>>> {
        let query = format!(
            "select provider_sid, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint \
             from message where direction = 'inbound' and case_id is not null and processed_at >= '{}'",
            since.to_rfc3339()
        );
        let rows = self.stage.books.sql(&self.database, &query).await?;
        let row = |line: &str| {
            let (sid, micros) = line.split_once('|')?;
            Some((sid.to_owned(), DateTime::from_timestamp_micros(micros.parse().ok()?)?))
        };
        rows.lines().map(|line| row(line).with_context(|| format!("not understood: {line}"))).collect()
    }
}
