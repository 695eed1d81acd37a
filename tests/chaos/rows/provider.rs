//! Rows 11, 12, 14 and 15: a provider that answers badly, and a customer who is a machine.

use std::time::{Duration, Instant};

use casewire_domain::Address;
use casewire_simulator::{Fault, Rule};

use super::{Knobs, Outcome, Scene, round};
use crate::invariants::Expected;
use crate::kit::person;
use crate::load::Flow;
use crate::plan::Plan;
use crate::stage::Stage;

/// Everybody texts once: each text of ours is the first to its reader.
fn everybody(texts: u64, knobs: &Knobs) -> Flow {
    let clients = knobs.of(64, 16);
    Flow { each_once: true, ..Flow::closed(clients, texts + super::WARM_UP, 4_000_000, knobs.seed) }
}

/// Row 11: the text is accepted, and the answer is an error, half an answer, none, or late; some callbacks never come.
pub(crate) async fn ambiguous(knobs: Knobs) -> Outcome {
    let texts = knobs.texts.unwrap_or(knobs.of(100_000, 300));
    let flow = everybody(texts, &knobs);
    let plan = Plan::of(1, 2).set("SENDER__CONCURRENCY", "128").a_second(10_000);
    let mut scene = Scene::quiet(plan, knobs).await;
    let faults = vec![
        Rule::sometimes(0.02, Fault::HangAfterAccepting),
        Rule::sometimes(0.3, Fault::ErrorAfterAccepting),
        Rule::sometimes(0.5, Fault::ResetAfterAccepting),
        Rule::sometimes(0.5, Fault::TruncatedAnswer),
        Rule::always(Fault::GarbledAnswer),
        Rule::sometimes(0.5, Fault::DropCallbacks),
        Rule::sometimes(0.2, Fault::DelayCallbacks { min_ms: 10, max_ms: 400 }),
    ];
    let before = scene.stage.sent();
    scene.stage.simulator.set_faults(faults).unwrap();
    scene.faulty();
    scene.flow(flow);
    scene.finish().await;
    scene.faulty();
    let asked = async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        scene.stage.sent() >= before + texts as usize
    };
    let sent = casewire_testkit::eventually("all is sent", Duration::from_secs(300), asked).await;
    scene.outcome.insist(sent.is_ok(), || "not every text of ours was sent".to_owned());
    let start = Instant::now();
    // A callback or, at the latest, the look at the list after a minute.
    let settled = scene.stage.settle(Duration::from_secs(scene.knobs.of(120, 90))).await;
    scene.outcome.insist(settled.is_ok(), || format!("not settled: {settled:?}"));
    scene.outcome.figure("ambiguous", scene.stage.sent() - before);
    scene.outcome.figure("all_settled_s", round(start.elapsed().as_secs_f64()));
    scene.close(Expected::default()).await
}

/// Row 12: nine of ten requests are refused as too many; then every one ends in a 500, half of them accepted.
pub(crate) async fn storms(knobs: Knobs) -> Outcome {
    let texts = knobs.texts.unwrap_or(knobs.of(4_000, 200));
    let (first, second) = (everybody(texts, &knobs), everybody(texts * 2, &knobs));
    let hold = Duration::from_secs(knobs.of(30, 6));
    let mut scene = Scene::quiet(Plan::of(1, 2).set("SENDER__RETRY_MOST", "4s"), knobs).await;
    let busy = Rule::sometimes(0.9, Fault::TooManyRequests { retry_after_s: None });
    scene.stage.simulator.set_faults(vec![busy]).unwrap();
    scene.faulty();
    scene.flow(first);
    scene.finish().await;
    tokio::time::sleep(hold).await;
    let refused = scene.stage.simulator.ledger().refused.values().sum::<u64>();
    scene.stage.simulator.set_faults(Stage::shuffled()).unwrap();
    let start = Instant::now();
    let settled = scene.stage.settle(Duration::from_secs(120)).await;
    scene.outcome.insist(settled.is_ok(), || format!("after the storm of 429: {settled:?}"));
    let held = scene.stage.count("select count(*) from outbox").await;
    scene.outcome.insist(held == 0, || format!("{held} refused texts were not sent after all"));
    scene.outcome.figure("refused_429", refused);
    scene.outcome.figure("sent_after_429_s", round(start.elapsed().as_secs_f64()));

    let before = Rule::sometimes(0.5, Fault::ErrorBeforeAccepting);
    let mut faults = vec![before, Rule::always(Fault::ErrorAfterAccepting)];
    faults.extend(Stage::shuffled());
    scene.stage.simulator.set_faults(faults).unwrap();
    scene.flow(Flow { first: 1_000_000, ..second });
    scene.finish().await;
    let attempted = "select count(*) from outbox where state in ('pending', 'sending')";
    let attempted = async || scene.stage.count(attempted).await == 0;
    casewire_testkit::eventually("all is tried", Duration::from_secs(120), attempted).await.unwrap();
    scene.faulty();
    scene.stage.simulator.set_faults(Stage::shuffled()).unwrap();
    scene.close(Expected::default()).await
}

/// Row 14: every callback ten times, late by any time and out of order, half of the first ones before the answer.
pub(crate) async fn callbacks(knobs: Knobs) -> Outcome {
    let texts = knobs.texts.unwrap_or(knobs.of(5_000, 150));
    let flow = everybody(texts, &knobs);
    let mut scene = Scene::quiet(Plan::of(1, 2), knobs).await;
    let faults = vec![
        Rule::sometimes(0.5, Fault::CallbackBeforeAnswer),
        Rule::always(Fault::DuplicateCallbacks { copies: 9 }),
        Rule::sometimes(0.5, Fault::ReorderCallbacks),
        Rule::always(Fault::DelayCallbacks { min_ms: 0, max_ms: 500 }),
    ];
    scene.stage.simulator.set_faults(faults).unwrap();
    scene.faulty();
    scene.flow(flow);
    scene.finish().await;
    scene.faulty();
    let settled = scene.stage.settle(Duration::from_secs(300)).await;
    scene.outcome.insist(settled.is_ok(), || format!("not settled: {settled:?}"));
    let found = scene.stage.found().await;
    let delivered = found.outbound.iter().filter(|text| text.status == "delivered").count();
    scene.outcome.figure("delivered", delivered);
    scene.outcome.figure("callbacks", scene.stage.simulator.ledger().callbacks.delivered);
    scene.outcome.insist(delivered == found.outbound.len(), || {
        format!("{delivered} of {} texts ended delivered", found.outbound.len())
    });
    scene.close(Expected::default()).await
}

/// Row 15: a machine that answers whatever it gets at once, and one that texts whatever it gets.
pub(crate) async fn automatons(knobs: Knobs) -> Outcome {
    let lasting = Duration::from_secs(knobs.of(60, 8));
    let plan = Plan::of(1, 1).line(&["--on-update", "Thank you, we have added that to your case."]);
    let mut scene = Scene::quiet(plan, knobs).await;
    scene.faulty();
    let (polite, pushy, start) = (1, 2, Instant::now());
    let stage = scene.stage.clone();
    let answering = tokio::spawn(async move {
        let number = Address::from_stored(person(polite));
        let mut seen = 0;
        stage.handset(polite, "I am away from my desk.").await;
        while let Some(left) = lasting.checked_sub(start.elapsed()) {
            let newer = |text: &casewire_simulator::HandsetText| text.seq > seen;
            let Some(text) = stage.simulator.wait_for_text(&number, newer, left).await else { break };
            seen = text.seq;
            stage.handset(polite, "I am away from my desk.").await;
        }
    });
    while start.elapsed() < lasting {
        scene.stage.handset(pushy, "Great offers today!").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    answering.await.unwrap();
    scene.faulty();
    let _ = scene.stage.settle(Duration::from_secs(60)).await;
    for (name, sender) in [("to_the_polite", polite), ("to_the_pushy", pushy)] {
        let replies = scene.stage.sends().iter().filter(|sent| sent.to == person(sender)).count();
        scene.outcome.figure(name, replies);
        scene
            .outcome
            .insist((1..=3).contains(&replies), || format!("{replies} replies in ten minutes {name}"));
    }
    scene.close(Expected { replies: 3, ..Expected::default() }).await
}
