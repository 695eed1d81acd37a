//! Whether a database with a long history is slower than an empty one, for the worker and for agents.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use casewire_testkit::Casewire;

use super::worker::{Size, Stage};
use crate::finding::{Finding, Goal, figure};
use crate::load::{self, Requests};
use crate::plan::Plan;
use crate::stage::books::{Books, Database};
use crate::stage::front::local;
use crate::stage::programs::here;

/// Requests of one window to the desk: a percentile of one in a hundred needs hundreds.
const REQUESTS: usize = 1_000;
/// As many agents ask at once.
const AGENTS: usize = 4;
const START: Duration = Duration::from_secs(60);

/// A history of so many cases with so many texts in each.
async fn store(books: &Books, name: &str, cases: u64, each: u64) -> Result<Database> {
    let database = books.copy(name).await?;
    let script = std::fs::read_to_string(here().join("sql/stored.sql"))?;
    let script = script.replace("{cases}", &cases.to_string()).replace("{each}", &each.to_string());
    books.script(&database, &script).await?;
    Ok(database)
}

pub(crate) async fn worker(plan: &Plan) -> Result<Vec<Finding>> {
    let (cases, each) = plan.size((1_000_000, 10), (5_000, 10));
    plan.progress.begin("stored", plan.rounds * 2 + 1);
    plan.progress.step("storing the history");
    let stage = Stage::start(plan).await?;
    let stored = store(&stage.books, "stored", cases, each).await?;
    let size = plan.size(Size { texts: 100_000, senders: 10_000 }, Size { texts: 5_000, senders: 500 });
    let round = Cell::new(0);
    let rounds = plan
        .turns(
            plan.rounds,
            ["with a history", "empty"],
            async || {
                // Other people in each round: every fourth of them has a case in the history, nobody in the empty database.
                let first = round.replace(round.get() + size.senders);
                stage.work_into(plan, size, first, &stored).await
            },
            async || stage.work(plan, size, 1).await,
        )
        .await?;
    let rates = rounds.iter().map(|(stored, empty)| (stored.rate, empty.rate));
    let name = format!("worker with {} texts stored", figure((cases * each) as f64));
    Ok(vec![Finding::compared(&name, "/s", "empty database", rates, Goal::RatioAtLeast(0.8))])
}

/// A desk and what is asked of it.
struct Desk {
    _process: Casewire,
    address: std::net::SocketAddr,
    token: String,
    cases: u64,
    /// How many single cases were asked for.
    asked: Cell<u64>,
}

impl Desk {
    async fn start(plan: &Plan, books: &Books, database: &Database, cases: u64) -> Result<Self> {
        let token = books.command(&plan.programs, database, &["token", "create", "--name", "bench"]).await?;
        let (address, ops) = (local()?, local()?);
        let start = books.program(&plan.programs, database, &["desk"]);
        let start = start.env("CASEWIRE_SERVER__LISTEN", address.to_string());
        let process = start.env("CASEWIRE_SERVER__OPS_LISTEN", ops.to_string()).spawn()?;
        process.wait_until_ready(&format!("http://{ops}/readyz"), START).await?;
        Ok(Self { _process: process, address, token: token.trim().to_owned(), cases, asked: Cell::new(0) })
    }

    /// p99 of the first page of the inbox, in milliseconds.
    async fn inbox(&self) -> Result<f64> {
        let mut requests = Requests::default();
        (0..REQUESTS).for_each(|_| requests.push_get("/api/v1/cases?status=open", &self.token));
        self.ask(requests).await
    }

    /// p99 of one case, another each time, in all rounds.
    async fn case(&self) -> Result<f64> {
        let mut requests = Requests::default();
        let first = self.asked.replace(self.asked.get() + REQUESTS as u64);
        for index in first..self.asked.get() {
            // A prime stride visits cases all over the table.
            let number = 1001 + index * 7919 % self.cases;
            requests.push_get(&format!("/api/v1/cases/{number:08}"), &self.token);
        }
        self.ask(requests).await
    }

    async fn ask(&self, requests: Requests) -> Result<f64> {
        Ok(load::closed(self.address, Arc::new(requests), AGENTS).await?.latencies.percentile(0.99))
    }
}

pub(crate) async fn desk(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("desk", plan.more_rounds() * 4 + 1);
    plan.progress.step("storing the histories");
    let stage = Stage::start(plan).await?;
    let (many, few) = (plan.size(1_000_000, 20_000), 1_000);
    let (large, small) =
        (store(&stage.books, "many", many, 2).await?, store(&stage.books, "few", few, 2).await?);
    let large = Desk::start(plan, &stage.books, &large, many).await?;
    let small = Desk::start(plan, &stage.books, &small, few).await?;
    for desk in [&large, &small] {
        desk.inbox().await?;
        desk.case().await?;
    }
    let inbox = plan.turns(
        plan.more_rounds(),
        ["inbox, many cases", "inbox, few"],
        async || large.inbox().await,
        async || small.inbox().await,
    );
    let inbox = inbox.await?;
    let case = plan.turns(
        plan.more_rounds(),
        ["one case of many", "of few"],
        async || large.case().await,
        async || small.case().await,
    );
    let case = case.await?;
    let (goal, against) = (Goal::RatioAtMost(2.0), "1,000 cases");
    let note = format!("{many} cases, {AGENTS} connections");
    Ok(vec![
        Finding::compared("desk: first page of the inbox, p99", "ms", against, inbox, goal).noting(&note),
        Finding::compared("desk: one case, p99", "ms", against, case, goal).noting(&note),
    ])
}
