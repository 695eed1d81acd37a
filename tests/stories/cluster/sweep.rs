//! What the way from webhook to case lost, and the sweepers find.

use std::time::{Duration, Instant};

use casewire_bus::{History, Stream};
use casewire_simulator::{HandsetDraft, Line};
use casewire_testkit::eventually;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::kit::{ACCOUNT, Cluster, Plan, handset, message_sid, number, person, say};

const AT_ONCE: usize = 16;
const SETTLED: Duration = Duration::from_secs(60);

/// Sweepers that look every second, and at what has just come.
fn quick(plan: Plan) -> Plan {
    plan.set("WORKER__SWEEP_INTERVAL", "1s").set("WORKER__SWEEP_SETTLE", "1s")
}

impl Cluster {
    /// Texts from handsets that Twilio knows of, with all its retries; how many were taken.
    async fn texts(&self, people: std::ops::Range<u64>) -> usize {
        let webhook = format!("{}/inbound/main#ct=2000&rt=5000&tt=15000&rc=2&rp=all", self.public_url());
        self.simulator.set_line(Line::new(number(), ACCOUNT.parse().unwrap(), webhook));
        let taken = stream::iter(people)
            .map(async |n| {
                let draft = HandsetDraft::new(handset(n), number(), "is anybody there?");
                let sent = self.simulator.send_text(draft).await.unwrap();
                self.books.write(&sent.sid.to_string(), &person(n), Some(if sent.taken { 200 } else { 503 }));
                sent.taken
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        taken.into_iter().filter(|taken| *taken).count()
    }

    /// Has the lists compared; the line's report.
    async fn reconcile(&self) -> (Value, i32) {
        let (said, code) = self.said(&["reconcile", "--since", "1h", "--json"]).await;
        let report: Value = serde_json::from_str(&said).unwrap();
        (report["lines"][0].clone(), code)
    }

    /// Texts that comparisons brought in which nobody asked for.
    async fn brought_in_by_itself(&self) -> u64 {
        let unasked = "select lines from reconciliation where asked_by <> 'person'";
        let reports = self.sql(unasked).await;
        let lines = reports.iter().map(|lines| serde_json::from_str::<Vec<Value>>(lines).unwrap());
        lines.flatten().map(|line| line["brought_in"].as_u64().unwrap()).sum()
    }

    /// The value of a worker's metric, over all workers.
    async fn over_workers(&self, metric: &str) -> f64 {
        let mut sum = 0.0;
        for worker in &self.workers {
            sum += worker.metric(metric).await;
        }
        sum
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_stream_costs_nothing_that_was_answered_200() {
    let cluster = Cluster::plan().workers(2).set("WORKER__SWEEP_SETTLE", "1ms").start().await;
    assert_eq!(cluster.texts(0..40).await, 40);
    cluster.settle(SETTLED).await;
    // A backlog: taken, and by nobody handled.
    cluster.workers.iter().for_each(|worker| worker.kill());
    assert_eq!(cluster.texts(20..320).await, 300);
    let held = cluster.backlog().await;
    assert!(held >= Some(300), "{held:?}");
    cluster.nats.wipe().unwrap();
    cluster.nats.restart().await.unwrap();
    for worker in &cluster.workers {
        worker.start().await;
    }
    assert_eq!(cluster.backlog().await, Some(0), "the stream has forgotten them");
    let start = Instant::now();
    let (report, code) = cluster.reconcile().await;
    let took = start.elapsed();
    // Workers that notice the loss compare by themselves, and may have begun before anybody asked.
    let by_itself = cluster.brought_in_by_itself().await;
    let asked_for = report["brought_in"].as_u64().unwrap();
    assert_eq!((by_itself + asked_for, report["failures"].as_u64()), (300, Some(0)), "{report}");
    assert_eq!(code, if asked_for > 0 { 3 } else { 0 }, "gaps were found and closed, or had been");
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!((figures.taken, figures.texts), (340, 340));
    let (again, code) = cluster.reconcile().await;
    assert_eq!((again["brought_in"].as_u64(), code), (Some(0), 0), "{again}");
    say(&format!(
        "300 of 300 texts, {by_itself} of them unasked, were back {took:.1?} after somebody asked: {figures}"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_twilio_gave_up_while_ingest_was_down_are_found() {
    let plan = Cluster::plan().workers(2).set("WORKER__SWEEP_SETTLE", "1ms");
    // The schedule's first comparison stays out of it.
    let cluster = plan.set("WORKER__RECONCILE_SETTLE", "1h").start().await;
    assert_eq!(cluster.texts(0..20).await, 20);
    cluster.settle(SETTLED).await;
    cluster.ingests[0].kill();
    assert_eq!(cluster.texts(10..60).await, 0, "nobody took them");
    cluster.ingests[0].start().await;
    let (report, code) = cluster.reconcile().await;
    assert_eq!((report["brought_in"].as_u64(), code), (Some(50), 3), "{report}");
    // Found is as good as taken.
    cluster.books.found();
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!((figures.taken, figures.cases), (70, 60));
    let rescued = cluster.over_workers(r#"casewire_sweeper_rescued_total{sweeper="provider"}"#).await;
    assert_eq!(rescued, 50.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_lost_is_noticed_and_made_good_by_itself() {
    let plan = quick(Cluster::plan().workers(2)).set("WORKER__RECONCILE_SETTLE", "1h");
    let cluster = plan.start().await;
    assert_eq!(cluster.texts(0..20).await, 20);
    cluster.settle(SETTLED).await;
    let marked = "select count(*) from stream_mark";
    cluster.wait_for("every shard is marked", marked, SETTLED, |marks| marks == 4).await;
    cluster.workers.iter().for_each(|worker| worker.kill());
    assert_eq!(cluster.texts(20..80).await, 60);
    cluster.nats.wipe().unwrap();
    cluster.nats.restart().await.unwrap();
    // More texts into the stream's next life, at the places of those that are gone.
    for worker in &cluster.workers {
        worker.start().await;
    }
    let start = Instant::now();
    cluster.texts(80..100).await;
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!(figures.taken, 100);
    let asked = cluster.sql("select distinct asked_by from reconciliation").await;
    assert_eq!(asked, ["loss"], "nobody had to ask");
    say(&format!("what a lost stream held was back {:.1?} after the workers: {figures}", start.elapsed()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_consumer_passed_over_are_handled_by_the_next_sweep() {
    let cluster = quick(Cluster::plan().workers(1)).start().await;
    assert_eq!(cluster.texts(0..20).await, 20);
    cluster.settle(SETTLED).await;
    cluster.workers[0].end().await;
    assert_eq!(cluster.texts(10..110).await, 100);
    // The consumer is ahead of what was done: everything is acknowledged, nothing is left to hand out.
    for shard in 0..4 {
        let mut consumer = cluster.stream.consume(shard).await.unwrap();
        loop {
            let deliveries = consumer.fetch(100, Duration::from_millis(300)).await.unwrap();
            if deliveries.is_empty() {
                break;
            }
            casewire_bus::ack_all(deliveries).await.unwrap();
        }
    }
    let idle = async || cluster.backlog().await == Some(0);
    eventually("the consumer owes nothing", SETTLED, idle).await.unwrap();
    cluster.workers[0].start().await;
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!(figures.taken, 120);
    let rescued = cluster.over_workers(r#"casewire_sweeper_rescued_total{sweeper="stream"}"#).await;
    assert_eq!(rescued, 100.0);
    say(&format!("100 of 100 events were rescued: {figures}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_stream_takes_texts_for_ever_because_it_is_trimmed() {
    let plan = quick(Cluster::plan().workers(2)).in_one_shard();
    // It holds about 350 events.
    let plan = plan.set("STREAM__MAX_BYTES", "384KiB").set("STREAM__DUPLICATE_WINDOW", "1s");
    let cluster = plan.start().await;
    let (start, mut sent) = (Instant::now(), 0);
    while sent < 1_000 {
        stream::iter(sent..sent + 20)
            .for_each_concurrent(AT_ONCE, async |n| {
                assert!(
                    cluster.books.deliver(&cluster.hook, &message_sid(), &person(n % 300), "hello").await
                );
            })
            .await;
        sent += 20;
        // At most fifty texts a second: what comes within twice the duplicate window and a sweep fits.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let took = start.elapsed();
    cluster.settle(SETTLED).await;
    let figures = cluster.check(0).await;
    assert_eq!(figures.taken as u64, sent);
    assert_eq!(u64::from(figures.requests), sent, "none was refused, not even once");
    let empty = async || {
        let state = cluster.stream.backlog().await.unwrap_or_default();
        state.iter().all(|shard| shard.messages == 0)
    };
    eventually("what is handled leaves the stream", SETTLED, empty).await.unwrap();
    let purged = cluster.over_workers("casewire_sweeper_purged_total").await;
    let rescued = cluster.over_workers(r#"casewire_sweeper_rescued_total{sweeper="stream"}"#).await;
    assert_eq!(rescued, 0.0, "nothing was passed over");
    assert!(purged >= sent as f64, "{purged} were purged");
    let last = cluster.stream.state(0).await.unwrap().last_sequence;
    say(&format!("{sent} texts in {took:.0?} through 384 KiB, {purged} of {last} events purged: {figures}"));
}
