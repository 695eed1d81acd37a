//! Texts that wait on the stream, as ingest puts them there, and how fast workers make cases of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use casewire_bus::{Stream, shard_of};
use casewire_domain::{Event, EventKind, Source};
use casewire_testkit::Casewire;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::webhook;
use chrono::Utc;
use tokio::task::JoinSet;

use super::books::{Books, Database};
use super::broker::{Broker, Family, SHARDS};
use super::front::local;
use super::line;
use super::programs::{Programs, last_words};
use crate::load::{Text, Texts};
use crate::vitals;

/// Publishes under way at once: enough to keep the server busy.
const IN_FLIGHT: usize = 512;
/// How often the stream is asked how much is left. Each time costs the server a dozen requests, which at fifty a second were a
/// seventh of its work while the worker was measured. That the end is seen up to so much later makes casewire look slower by
/// 0.3 % of a backlog of 200,000 texts, in the mean.
const LOOK: Duration = Duration::from_millis(100);
/// A backlog that takes longer is stuck.
const STUCK: Duration = Duration::from_secs(600);

/// Puts so many texts on the server's streams, which held none.
pub(crate) async fn fill(broker: &Broker, texts: &mut Texts, count: u64) -> Result<()> {
    broker.renew(Family::Casewire).await?;
    publish(broker.stream.clone(), SHARDS, texts, count).await?;
    let held = broker.stored(Family::Casewire).await?;
    ensure!(held == count, "{count} texts were published, and the streams hold {held}");
    Ok(())
}

/// Publishes so many texts as ingest does.
pub(crate) async fn publish(
    stream: Arc<dyn Stream>,
    shards: u32,
    texts: &mut Texts,
    count: u64,
) -> Result<()> {
    let target = texts.target();
    let mut under_way = JoinSet::new();
    for _ in 0..count {
        if under_way.len() >= IN_FLIGHT {
            stored(under_way.join_next().await)?;
        }
        let (stream, text, target) = (stream.clone(), texts.text(), target.clone());
        under_way.spawn(async move {
            let shard = shard_of(line::LINE, &text.from, shards);
            let published = stream.publish(&event(text, target), shard).await?;
            anyhow::Ok(!published.duplicate)
        });
    }
    while !under_way.is_empty() {
        stored(under_way.join_next().await)?;
    }
    Ok(())
}

fn stored(ended: Option<Result<Result<bool>, tokio::task::JoinError>>) -> Result<()> {
    let new = ended.context("nothing was published")???;
    ensure!(new, "the stream took a text for one it knew");
    Ok(())
}

/// The event that ingest makes of a text's webhook.
fn event(text: Text, target: String) -> Event {
    let body = text.body.into_bytes();
    let parameters = Parameters::parse(&body, usize::MAX).unwrap_or_default();
    let kind = EventKind::Message;
    Event {
        dedupe_id: webhook::dedupe_id(line::ACCOUNT, kind, line::LINE, &target, &parameters, &body),
        kind,
        source: Source::Webhook,
        line: line::LINE.to_owned(),
        method: "POST".to_owned(),
        target,
        content_type: "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
        body,
        received_at: Utc::now(),
        trace: Default::default(),
    }
}

/// How a backlog went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worked {
    /// Texts a second, from when the first were gone until the last was acknowledged.
    pub(crate) rate: f64,
    /// Seconds of processor time that 10,000 texts took, in the workers alone.
    pub(crate) cpu: f64,
    /// And on the whole machine: PostgreSQL's and the NATS server's, too.
    pub(crate) machine: f64,
}

/// Has so many worker processes work off what is on the stream, and checks that every text is in one case.
pub(crate) async fn work_off(
    programs: &Programs,
    broker: &Broker,
    books: &Books,
    database: &Database,
    workers: usize,
) -> Result<Worked> {
    let before = inbound(books, database).await?;
    let mut running = Vec::new();
    let (all, idle) = (waiting(broker).await?, vitals::machine_seconds()?);
    for _ in 0..workers {
        let (listen, ops) = (local()?.to_string(), local()?.to_string());
        let worker = books.program(programs, database, &["worker"]);
        running.push(
            worker.env("CASEWIRE_SERVER__LISTEN", listen).env("CASEWIRE_SERVER__OPS_LISTEN", ops).spawn()?,
        );
    }
    let rate = watch(broker, &running, all).await?;
    let machine = vitals::machine_seconds()? - idle;
    let mut cpu = 0.0;
    for worker in &running {
        cpu += vitals::cpu_seconds(worker.pid())?;
        worker.terminate()?;
    }
    for worker in &running {
        worker.wait(STUCK).await?;
    }
    let after = inbound(books, database).await?;
    ensure!(after - before == all, "{all} texts waited, and {} were stored", after - before);
    check(books, database).await?;
    let of_texts = |seconds: f64| seconds / all as f64 * 10_000.0;
    Ok(Worked { rate, cpu: of_texts(cpu), machine: of_texts(machine) })
}

/// Waits until nothing is left: texts a second from the first look at which some were gone.
async fn watch(broker: &Broker, workers: &[Casewire], all: u64) -> Result<f64> {
    let (began, mut first) = (Instant::now(), None);
    loop {
        tokio::time::sleep(LOOK).await;
        let left = waiting(broker).await?;
        match first {
            None if left < all => first = Some((Instant::now(), left)),
            Some((since, then)) if left == 0 => return Ok(then as f64 / since.elapsed().as_secs_f64()),
            _ => {}
        }
        if began.elapsed() > STUCK {
            let said: Vec<String> = workers.iter().map(last_words).collect();
            anyhow::bail!("{left} of {all} texts are left after {STUCK:?}: {}", said.join("\n"));
        }
    }
}

/// Events that are not acknowledged.
async fn waiting(broker: &Broker) -> Result<u64> {
    let shards = broker.stream.backlog().await?;
    Ok(shards.iter().map(|shard| shard.pending + shard.ack_pending).sum())
}

async fn inbound(books: &Books, database: &Database) -> Result<u64> {
    books.count(database, "select count(*) from message where direction = 'inbound'").await
}

/// Every text is in a case of its own conversation, no conversation has two, each case that was opened now was
/// acknowledged once, by a text that was sent or waits in the outbox, and every text has its event.
async fn check(books: &Books, database: &Database) -> Result<()> {
    let wrong = [
        "select count(*) from message where case_id is null",
        "select count(*) - count(distinct conversation_id) from \"case\"",
        "select count(*) from message m join \"case\" c on c.id = m.case_id where c.conversation_id <> m.conversation_id",
        "select count(*) from \"case\" c left join (select case_id, count(*) from message where automatic group by 1) a \
         on a.case_id = c.id where opened_at > now() - interval '1 day' and a.count is distinct from 1",
        "select count(*) from message where automatic and provider_sid is null \
         and id not in (select message_id from outbox)",
        "select abs(count(*) - (select count(*) from event)) from message where direction = 'inbound'",
    ];
    for query in wrong {
        let found = books.count(database, query).await?;
        ensure!(found == 0, "{found} rows are not as they should be: {query}");
    }
    Ok(())
}
