//! Rows 10 and 13: what cannot be handled, and what comes again and again.

use std::time::{Duration, Instant};

use casewire_bus::Stream;
use casewire_domain::{DedupeId, Event, EventKind, Source};
use casewire_twilio::parameters::Parameters;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;

use super::{Knobs, Outcome, Scene, round};
use crate::books::Kind;
use crate::invariants::Expected;
use crate::kit::{ACCOUNT, message_sid, person, publish};
use crate::load::Flow;
use crate::plan::Plan;
use crate::stage::Stage;

/// What no provider sends, though its signature is right: field, and what it says.
const STRANGE: [(&str, &str); 9] = [
    ("Body", "before \0 after"),
    ("Body", "\u{202e}\u{feff}\u{0}\u{1f4a9}"),
    ("From", "+1206\0"),
    ("From", "'; drop table message; --"),
    ("FromCity", "\0"),
    ("NumMedia", "4294967295"),
    ("NumMedia", "-1"),
    ("MediaUrl0", "https://example.org/\0\u{202e}"),
    ("OptOutType", "\0"),
];
/// Beside poison, good texts may take twice as long as without, and so many milliseconds more: what failed is tried
/// again alone, a transaction each.
const SLACK: f64 = if cfg!(debug_assertions) { 500.0 } else { 200.0 };
/// The senders of strange texts are those of an index from here on.
const STRANGERS: u64 = 3_000_000;

/// Row 10: poison between ordinary texts of one shard.
pub(crate) async fn poison(knobs: Knobs) -> Outcome {
    let rounds = knobs.of(20, 2);
    let flow = Flow::open(knobs.rate() / 2.0, 500, knobs.seed);
    let plan = Plan::of(1, 2).set("STREAM__SHARDS", "1");
    let mut scene = Scene::open(plan, knobs, flow).await;
    let calm = Utc::now();
    tokio::time::sleep(Duration::from_secs(scene.knobs.of(10, 3))).await;
    let begun = Utc::now();
    scene.faulty();
    let mut dead = 0;
    for round in 0..rounds {
        // Never the same twice, which would be one.
        let bytes = [b"\xff\xfe no event at all ", round.to_string().as_bytes()].concat();
        publish(&scene.stage.nats, "in.0.message", &bytes).await;
        publish(&scene.stage.nats, "in.0.message_status", &[bytes, vec![0; 1_000]].concat()).await;
        of_no_line(&scene.stage).await;
        dead += 3;
        for (n, (field, value)) in STRANGE.into_iter().enumerate() {
            strange(&scene.stage, STRANGERS + round * 100 + n as u64, field, value).await;
        }
        refused(&mut scene).await;
        scene.faulty();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    scene.faulty();
    let over = Utc::now();
    let set_aside =
        async || scene.stage.count("select count(*) from event where outcome = 'dead'").await >= dead;
    let start = Instant::now();
    let all =
        casewire_testkit::eventually("all poison is set aside", Duration::from_secs(90), set_aside).await;
    scene.outcome.insist(all.is_ok(), || "not all poison was set aside".to_owned());
    scene.outcome.figure("set_aside_s", round(start.elapsed().as_secs_f64()));
    let stage = scene.stage.clone();
    let mut outcome = scene.close(Expected { dead, ..Expected::default() }).await;
    let (calm, during) = (stage.handled_p99(calm, begun).await, stage.handled_p99(begun, over).await);
    outcome.figure("handled_p99_ms_before", round(calm));
    outcome.figure("handled_p99_ms_during", round(during));
    outcome.insist(during <= 2.0 * calm + SLACK, || {
        format!("beside poison good texts took {during:.0} ms (p99) until they were stored, and {calm:.0} ms before")
    });
    outcome
}

/// A text as ingest would publish it, of a line that nobody knows.
async fn of_no_line(stage: &Stage) {
    let sid = message_sid();
    let event = Event {
        dedupe_id: DedupeId::new(format!("i:{ACCOUNT}:{sid}")).unwrap(),
        kind: EventKind::Message,
        source: Source::Webhook,
        line: "nobody's".into(),
        method: "POST".into(),
        target: "/inbound/nobody's".into(),
        content_type: "application/x-www-form-urlencoded".into(),
        body: stage.hook.form(&sid, &person(1), "hello").encode().into_bytes(),
        received_at: Utc::now(),
        trace: Default::default(),
    };
    stage.stream.publish(&event, 0).await.unwrap();
}

async fn strange(stage: &Stage, sender: u64, field: &str, value: &str) {
    let sid = message_sid();
    let form = stage.hook.form(&sid, &person(sender), "hello");
    let mut form: Parameters = form.iter().filter(|(name, _)| *name != field).collect();
    form.push(field, value);
    let sent = Instant::now();
    let answer = stage.hook.post("/inbound/main", &form).await.unwrap().status().as_u16();
    stage.books.write(&sid, Kind::Strange, sender, sent, answer);
}

/// A megabyte of add-ons: more than any legal text, refused before it is read.
async fn refused(scene: &mut Scene) {
    let sid = message_sid();
    let mut form = scene.stage.hook.form(&sid, &person(STRANGERS), "hello");
    form.push("AddOns", &"x".repeat(1 << 20));
    let answer = scene.stage.hook.post("/inbound/main", &form).await;
    // Whoever stops reading may close before the answer is read.
    let status = answer.map_or(0, |answer| answer.status().as_u16());
    scene
        .outcome
        .insist([0, 413].contains(&status), || format!("a megabyte of add-ons was answered {status}"));
}

/// Row 13: each SID fifty times, across a restart of the stream and past its window.
pub(crate) async fn repeated(knobs: Knobs) -> Outcome {
    let sids: Vec<_> = (0..knobs.texts.unwrap_or(knobs.of(200, 10))).map(|n| (n, message_sid())).collect();
    let window = Duration::from_secs(1);
    let mut scene = Scene::quiet(Plan::of(1, 2).set("STREAM__DUPLICATE_WINDOW", "1s"), knobs).await;
    scene.faulty();
    flood(&scene.stage, &sids, 16).await;
    let restart = async {
        scene.stage.nats.kill().unwrap();
        scene.stage.nats.restart().await.unwrap();
    };
    tokio::join!(restart, flood(&scene.stage, &sids, 16));
    tokio::time::sleep(2 * window).await;
    scene.stage.flows_again(Duration::from_secs(30)).await;
    flood(&scene.stage, &sids, 18).await;
    scene.faulty();
    let repeats = scene.stage.repeats().await;
    scene.outcome.figure("stored_again_by_the_stream", repeats);
    scene.outcome.insist(repeats > 0.0, || "the stream never forgot a text: nothing was shown".to_owned());
    scene.close(Expected::default()).await
}

/// Sends each text this many times at once.
async fn flood(stage: &Stage, sids: &[(u64, String)], times: usize) {
    for some in sids.chunks(10) {
        let all = some.iter().flat_map(|one| std::iter::repeat_n(one, times));
        join_all(all.map(async |(sender, sid)| {
            let sent = Instant::now();
            let answer = stage.hook.text(sid, &person(*sender), "my heater is broken").await;
            stage.books.write(
                sid,
                Kind::Text,
                *sender,
                sent,
                answer.map_or(0, |answer| answer.status().as_u16()),
            );
        }))
        .await;
    }
}

impl Stage {
    /// How long the good texts that were received between two moments took until they were stored, all but one in a
    /// hundred, in milliseconds.
    async fn handled_p99(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
        let took = format!(
            "select provider_sid, extract(epoch from processed_at - received_at) * 1000 from message \
             where direction = 'inbound' and received_at >= '{}' and received_at < '{}'",
            from.to_rfc3339(),
            to.to_rfc3339()
        );
        let entries = self.books.entries();
        let good = |sid: &String| entries.get(sid).is_some_and(|entry| entry.kind != Kind::Strange);
        let rows = self.rows(&took).await;
        let mut took: Vec<f64> =
            rows.iter().filter(|row| good(&row[0])).map(|row| row[1].parse().unwrap()).collect();
        took.sort_unstable_by(f64::total_cmp);
        took[took.len() * 99 / 100]
    }

    /// How often workers met an event that had had its effect.
    async fn repeats(&self) -> f64 {
        let name = "casewire_messages_processed_total{consumer=\"work\",disposition=\"duplicate\"}";
        let mut sum = 0.0;
        for worker in &self.workers {
            sum += worker.metric(name).await;
        }
        sum
    }
}
