//! Nothing but ambiguous sends: each is taken by the provider, or is not, and none is told so. In real time, with the
//! looks of the default settings. `CASEWIRE_AMBIGUOUS=100000` makes the large run (in a release build, some eight
//! minutes): there the first texts are never taken, and the line wants them sent again after the last look.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use casewire_domain::decide::Outcome;
use casewire_runtime::config;
use casewire_simulator::{Answered, Fault, Rule, SendEntry, Status};
use casewire_store::OutboxDepth;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Executor, Row};
use tokio::time::sleep;
use uuid::Uuid;

use crate::bench::{Bench, Plan, Running};
use crate::words::{reply, texted};

/// Texts a second, so many that the run ends soon and so few that two cores do not fall behind; and what is never taken
/// is sent again in the end.
const SET_LINE: &str = "update line set per_second = 500, when_uncertain = 'resend'";
/// Texts written in one transaction.
const BATCH: usize = 500;
/// One text of so many goes to a person who gets more of the same words.
const SHARED: usize = 20;
/// So many replies of the same words.
const EQUAL: usize = 2;
/// What "settled in time" means.
const IN_TIME: TimeDelta = TimeDelta::seconds(60);

struct Size {
    texts: usize,
    /// The first so many are never taken: nobody can know but from the list's silence.
    never_taken: usize,
    /// Whether lists fail and lag for long, too.
    rough: bool,
    /// Within which all must have come to its end.
    within: Duration,
}

impl Size {
    fn asked_for() -> Result<Self> {
        let texts = match std::env::var("CASEWIRE_AMBIGUOUS") {
            Ok(count) => count.parse().context("CASEWIRE_AMBIGUOUS")?,
            Err(_) => {
                return Ok(Self {
                    texts: 2_000,
                    never_taken: 0,
                    rough: false,
                    // Three texts of one person, one after the other, each settled by the look after 20 s; and twice that.
                    within: Duration::from_secs(150),
                });
            }
        };
        Ok(Self { texts, never_taken: texts / 100, rough: true, within: Duration::from_secs(15 * 60) })
    }

    /// No answer tells anything; a half of the callbacks never comes, others come late; lists lag.
    fn faults(&self) -> Vec<Rule> {
        let mut rules = vec![
            Rule::next(self.never_taken as u64, Fault::ErrorBeforeAccepting),
            Rule::sometimes(0.1, Fault::HangAfterAccepting),
            Rule::sometimes(0.25, Fault::ErrorAfterAccepting),
            Rule::sometimes(0.33, Fault::ResetAfterAccepting),
            Rule::sometimes(0.5, Fault::TruncatedAnswer),
            Rule::always(Fault::GarbledAnswer),
            Rule { statuses: vec![Status::Sent], ..Rule::always(Fault::DropCallbacks) },
            Rule::sometimes(0.5, Fault::DropCallbacks),
            Rule::sometimes(0.3, Fault::DelayCallbacks { min_ms: 500, max_ms: 30_000 }),
            Rule::sometimes(0.1, Fault::LateOnList { after_ms: 3_000 }),
            Rule::sometimes(0.05, Fault::LateOnList { after_ms: 15_000 }),
        ];
        if self.rough {
            rules.push(Rule::sometimes(0.002, Fault::LateOnList { after_ms: 45_000 }));
            rules.push(Rule::sometimes(0.03, Fault::ListTooManyRequests { retry_after_s: Some(2) }));
            rules.push(Rule::sometimes(0.03, Fault::ListError));
        }
        rules
    }
}

fn plan() -> Plan {
    let mut plan = Plan::default();
    // The looks, leases and time-outs that casewire has by default; only more at once.
    let many = |n| std::num::NonZeroU32::new(n).unwrap_or(std::num::NonZeroU32::MIN);
    plan.sender =
        config::Sender { concurrency: many(4_096), settle_concurrency: many(64), ..Default::default() };
    plan.hang = plan.sender.request_timeout + Duration::from_secs(2);
    plan
}

fn recipient(i: usize) -> String {
    format!("+1206{:07}", 2_000_000 + i)
}

/// So many texts. Most have a person of their own, so that what is sent to one says nothing of another; of the rest each
/// person gets an acknowledgement and then [`EQUAL`] replies of the same words, which only attribution tells apart.
async fn queue(bench: &Bench, texts: usize) -> Result<()> {
    let talkative = texts / SHARED;
    let people = texts - talkative * EQUAL;
    for first in (0..people).step_by(BATCH) {
        let batch =
            (first..people.min(first + BATCH)).map(|i| texted("main", &recipient(i), "my heater is broken"));
        let outcomes = bench.store.handle(batch.collect::<Vec<_>>()).await?;
        // The last ones: the first are never taken in the large run.
        let answered = outcomes.iter().skip((people - talkative).saturating_sub(first));
        let replies = answered.map(|outcome| match outcome {
            Outcome::Placed { case, .. } => Ok(vec![reply(*case, "We are on our way."); EQUAL]),
            other => bail!("a text was {other:?}"),
        });
        bench.store.handle(replies.collect::<Result<Vec<_>>>()?.concat()).await?;
    }
    Ok(())
}

/// Waits until nothing is on its way, and no text is held.
async fn come_to_its_end(bench: &Bench, within: Duration) -> Result<OutboxDepth> {
    let begun = Instant::now();
    loop {
        let depth = bench.store.outbox_depth().await?;
        let open = depth.pending.messages + depth.sending.messages + depth.uncertain.messages;
        if open == 0 || begun.elapsed() > within {
            return Ok(depth);
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// How long it took from the provider's taking each text to our knowing of it.
async fn settling_times(bench: &Bench) -> Result<Vec<TimeDelta>> {
    let known = "select json_extract(change, '$.message') as message, min(at) as at from case_event \
                 where kind in ('send_accepted', 'delivery_changed') group by 1";
    let rows = bench.intruder().await?.fetch_all(known).await?;
    let known: HashMap<Uuid, DateTime<Utc>> = rows
        .iter()
        .map(|row| Ok((row.try_get::<String, _>("message")?.parse()?, row.try_get("at")?)))
        .collect::<Result<_>>()?;
    let mut times = Vec::new();
    for (message, sends) in by_message(bench)? {
        let at = known.get(&message).with_context(|| format!("message {message} is not known"))?;
        times.push(*at - sends[0].accepted_at);
    }
    times.sort();
    Ok(times)
}

/// What the provider took, by our message, which the callback's path names.
fn by_message(bench: &Bench) -> Result<BTreeMap<Uuid, Vec<Arc<SendEntry>>>> {
    let mut sends = BTreeMap::<_, Vec<_>>::new();
    for send in bench.accepted() {
        let path = send.status_callback.as_deref().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let message = path.split(['.', '#']).next().unwrap_or_default().parse()?;
        sends.entry(message).or_default().push(send);
    }
    Ok(sends)
}

fn settled(worker: &Running) -> Result<String> {
    let by = |by: &str| worker.metric(&format!("casewire_uncertain_settled_total{{by=\"{by}\"}}"));
    Ok(format!("{} by callback, {} by list, {} sent again", by("callback")?, by("list")?, by("resend")?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::print_stdout, reason = "its figures are what it is run for")]
async fn of_many_ambiguous_sends_none_is_doubled_and_nearly_all_are_settled_within_a_minute() -> Result<()> {
    let size = Size::asked_for()?;
    let bench = Bench::idle(plan()).await?;
    let mut intruder = bench.intruder().await?;
    intruder.execute(SET_LINE).await?;
    intruder.execute("update installation set directory_version = directory_version + 1").await?;
    let begun = Instant::now();
    queue(&bench, size.texts).await?;
    println!("{} texts are queued after {:.0?}", size.texts, begun.elapsed());
    bench.faults(size.faults())?;
    let mut deps = bench.deps()?;
    deps.provider = Arc::new(bench.provider_at(&bench.provider_url)?);
    let worker = bench.run(deps);
    let depth = come_to_its_end(&bench, size.within).await?;

    let sends = by_message(&bench)?;
    let doubles = sends.values().filter(|sends| sends.len() > 1).count();
    let ambiguous = sends.values().flatten().filter(|send| send.answered != Answered::Created).count();
    let times = settling_times(&bench).await?;
    let in_time = times.iter().filter(|time| **time <= IN_TIME).count();
    let share = in_time as f64 / times.len() as f64;
    let nth = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_seconds_f64();
    println!(
        "{} texts in {:.0?}, {} of them to somebody who gets the same words again: {ambiguous} taken without saying so, {} never taken at first; {}; {doubles} doubles; \
         settled within 60 s {:.3} %, p50 {:.1} s, p99 {:.1} s, longest {:.1} s; left {depth:?}",
        sends.len(),
        begun.elapsed(),
        size.texts / SHARED * EQUAL,
        size.never_taken,
        settled(&worker)?,
        share * 100.0,
        nth(0.5),
        nth(0.99),
        nth(1.0),
    );
    ensure!(doubles == 0, "{doubles} doubles");
    ensure!(ambiguous == size.texts, "{ambiguous} ambiguous sends");
    ensure!(share >= 0.99, "{share} settled in time");
    ensure!(depth.pending.messages + depth.sending.messages + depth.uncertain.messages == 0, "{depth:?}");
    ensure!(worker.metric("casewire_duplicate_send_detected_total")? == 0.0, "a double is counted");
    Ok(())
}
