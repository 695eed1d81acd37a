//! How fast the outbox empties: as fast as it can, and at the rate that lines are limited to.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use casewire_testkit::Casewire;

use crate::finding::{Finding, Goal};
use crate::plan::Plan;
use crate::stage::books::{Books, Database};
use crate::stage::broker::{Broker, Sync};
use crate::stage::front::local;
use crate::stage::programs::{here, last_words};
use crate::stage::twilio::Twilio;

/// Nobody listens there: callbacks are refused at once. The simulator tries each six times, as our webhook URL asks it
/// to, which costs a few hundredths.
const NOWHERE: &str = "http://127.0.0.1:9";
const LOOK: Duration = Duration::from_millis(250);
const STUCK: Duration = Duration::from_secs(120);
/// Lines of the limited run, and what each may send a second.
const LINES: u64 = 50;
const LIMIT: u64 = 10;

/// An outbox to be emptied: so many lines, so many texts of each, so many a second.
struct Outbox {
    lines: u64,
    each: u64,
    a_second: u64,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Finding>> {
    plan.progress.begin("sender", plan.rounds * 2 + 1);
    plan.progress.step("starting");
    let (broker, twilio) = (Broker::start(Sync::Default).await?, Twilio::start()?);
    let books =
        Books::start(&plan.programs, &broker, &twilio.url, 1).await?.with("SERVER__PUBLIC_URL", NOWHERE);
    let unlimited = Outbox { lines: 1, each: plan.size(40_000, 2_000), a_second: 1_000_000 };
    let free = plan.rounds("unlimited", async || send(plan, &books, &unlimited).await).await?;
    let free = free.iter().map(|sent| sent.rate);
    let seconds = plan.size(20, 4);
    let limited = Outbox { lines: LINES, each: LIMIT * seconds, a_second: LIMIT };
    let kept = plan.rounds("50 lines at 10/s each", async || send(plan, &books, &limited).await).await?;
    let limit = (LINES * LIMIT) as f64;
    Ok(vec![
        Finding::alone("sender, rate unlimited: texts", "/s", free, Goal::AtLeast(2_000.0)),
        Finding::compared(
            "sender, 50 lines limited to 10/s: texts",
            "/s",
            "the limits",
            kept.iter().map(|sent| (sent.rate, limit)),
            Goal::Within(0.05),
        ),
        of_one_line("the slowest", kept.iter().map(|sent| sent.slowest)),
        of_one_line("the fastest", kept.iter().map(|sent| sent.fastest)),
    ])
}

fn of_one_line(which: &str, rates: impl Iterator<Item = f64>) -> Finding {
    let name = format!("sender, {which} of 50 lines limited to 10/s: texts");
    let rates = rates.map(|rate| (rate, LIMIT as f64));
    Finding::compared(&name, "/s", "its limit", rates, Goal::Within(0.05))
}

/// How an outbox was emptied, in texts a second.
struct Sent {
    rate: f64,
    /// Of the lines, by when the provider had accepted their first text and their last.
    slowest: f64,
    fastest: f64,
}

const BY_LINE: &str = "select min(rate), max(rate) from (
    select (count(*) - 1) / extract(epoch from max(at) - min(at)) as rate
    from case_event join \"case\" on \"case\".id = case_id
    where kind = 'send_accepted' group by line_id) as line";

async fn send(plan: &Plan, books: &Books, outbox: &Outbox) -> Result<Sent> {
    let database = books.copy("sending").await?;
    let script = std::fs::read_to_string(here().join("sql/outbox.sql"))?;
    let script = script
        .replace("{lines}", &outbox.lines.to_string())
        .replace("{each}", &outbox.each.to_string())
        .replace("{rate}", &outbox.a_second.to_string());
    books.script(&database, &script).await?;
    let (listen, ops) = (local()?.to_string(), local()?.to_string());
    let start = books.program(&plan.programs, &database, &["worker"]);
    let worker =
        start.env("CASEWIRE_SERVER__LISTEN", listen).env("CASEWIRE_SERVER__OPS_LISTEN", ops).spawn()?;
    let rate = watch(books, &database, outbox, &worker).await?;
    worker.kill()?;
    let sent = "select count(*) from message where direction = 'outbound' and provider_sid is not null";
    let sent = books.count(&database, sent).await?;
    ensure!(sent == outbox.lines * outbox.each, "{sent} texts have a SID");
    let by_line = books.sql(&database, BY_LINE).await?;
    let (slowest, fastest) = by_line.split_once('|').context("no line has sent")?;
    books.remove(database).await?;
    Ok(Sent { rate, slowest: slowest.parse()?, fastest: fastest.parse()? })
}

/// From the first look at which some had left until the last had.
async fn watch(books: &Books, database: &Database, outbox: &Outbox, worker: &Casewire) -> Result<f64> {
    let (began, mut first) = (Instant::now(), None);
    loop {
        tokio::time::sleep(LOOK).await;
        // The moment of the look, not of its answer.
        let now = Instant::now();
        let left = books.count(database, "select count(*) from outbox").await?;
        match first {
            None if left < outbox.lines * outbox.each => first = Some((now, left)),
            Some((since, then)) if left == 0 => {
                return Ok(then as f64 / now.duration_since(since).as_secs_f64());
            }
            _ => {}
        }
        ensure!(began.elapsed() < STUCK, "{left} texts are left after {STUCK:?}: {}", last_words(worker));
    }
}
