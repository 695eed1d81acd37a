//! Delivery callbacks: repeated, out of order, and before the provider's answer.

use std::collections::BTreeMap;
use std::time::Duration;

use casewire_simulator::{FailedStatus, Fault, Rule};
use casewire_twilio::webhook::status_path;
use futures_util::{StreamExt, stream};

use crate::kit::{Cluster, Dice, handset, message_sid, person, say};

const MESSAGES: u64 = 1_000;
/// Requests under way at once.
const AT_ONCE: usize = 32;
const SETTLED: Duration = Duration::from_secs(90);

/// How the text to a person ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Delivered,
    Read,
    Failed,
    Undelivered,
    /// Delivered, but the provider never answers our request, and says nothing by itself.
    Silent,
}

impl End {
    fn of(person: u64) -> Self {
        match person % 50 {
            0 => Self::Silent,
            1..=5 => Self::Failed,
            6..=10 => Self::Undelivered,
            11..=15 => Self::Read,
            _ => Self::Delivered,
        }
    }

    /// The status and the error code that a message of ours must end with.
    fn wanted(self) -> &'static str {
        match self {
            Self::Delivered | Self::Silent => "delivered||f",
            Self::Read => "read||f",
            Self::Failed => "failed|30008|f",
            Self::Undelivered => "undelivered|30005|f",
        }
    }
}

fn people(end: End) -> impl Iterator<Item = u64> {
    (0..MESSAGES).filter(move |person| End::of(*person) == end)
}

/// Every callback three times and late by any time, a third of the first ones before the 201.
fn faults() -> Vec<Rule> {
    let of = |end, fault: Fault| {
        people(end).map(move |person| Rule { to: Some(handset(person)), ..Rule::always(fault.clone()) })
    };
    let fails = |status, code| Fault::FailDelivery { status, code };
    let mut rules: Vec<_> = of(End::Failed, fails(FailedStatus::Failed, 30_008)).collect();
    rules.extend(of(End::Undelivered, fails(FailedStatus::Undelivered, 30_005)));
    rules.extend(of(End::Silent, Fault::HangAfterAccepting));
    rules.extend(of(End::Silent, Fault::DropCallbacks));
    rules.push(Rule::sometimes(0.3, Fault::CallbackBeforeAnswer));
    rules.push(Rule::always(Fault::DuplicateCallbacks { copies: 2 }));
    rules.push(Rule::always(Fault::DelayCallbacks { min_ms: 0, max_ms: 400 }));
    rules
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_texts_end_in_the_right_state_whatever_order_callbacks_come_in() {
    // Callbacks alone tell what became of the silent ones: the provider's list is not read within the story.
    let plan = Cluster::plan().workers(2).set("SENDER__REQUEST_TIMEOUT", "3s");
    let plan = plan.set("SENDER__SETTLE_FIRST", "1h").set("SENDER__SETTLE_SECOND", "2h");
    let cluster = plan.set("SENDER__SETTLE_LAST", "3h").start().await;
    cluster.simulator.set_faults(faults()).unwrap();
    stream::iter(0..MESSAGES)
        .for_each_concurrent(AT_ONCE, async |n| {
            assert!(cluster.books.deliver(&cluster.hook, &message_sid(), &person(n), "hello").await);
        })
        .await;
    let all_sent = async || cluster.simulator.ledger().sends.len() as u64 == MESSAGES;
    casewire_testkit::eventually("every acknowledgement is sent", SETTLED, all_sent).await.unwrap();
    // By hand, on the path without our ids: what nobody can place yet waits.
    call_back(&cluster, &[(End::Silent, "delivered"), (End::Read, "read")], Path::OfTheLine).await;
    let silent = people(End::Silent).count() as u64;
    let waiting = "select count(*) from event where outcome = 'waiting'";
    cluster.wait_for("statuses wait for their texts", waiting, SETTLED, |waiting| waiting == silent).await;
    call_back(&cluster, &[(End::Silent, "sent")], Path::OfTheMessage).await;
    cluster.settle(SETTLED).await;

    let figures = cluster.check(0).await;
    assert_eq!((figures.sent, figures.uncertain), (1_000, 0));
    let ends = "select c.address, m.status, m.error_code, m.conflict from message m \
                join contact c on c.id = m.contact_id where m.automatic";
    let rows = cluster.sql(ends).await;
    let found: BTreeMap<_, _> = rows.iter().filter_map(|row| row.split_once('|')).collect();
    let wrong: Vec<_> = (0..MESSAGES)
        .map(|n| (n, End::of(n), found.get(person(n).as_str())))
        .filter(|(_, end, found)| *found != Some(&end.wanted()))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {MESSAGES} ended wrongly: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
    say(&format!("{:?}; {figures}", cluster.simulator.ledger().callbacks));
    assert!(hurried(&cluster) > 200, "many callbacks came before the answer");
}

#[derive(Clone, Copy)]
enum Path {
    OfTheLine,
    OfTheMessage,
}

/// Calls back for everybody of these ends, each three times, in any order.
async fn call_back(cluster: &Cluster, what: &[(End, &str)], path: Path) {
    let ledger = cluster.simulator.ledger();
    let sids: BTreeMap<_, _> = ledger.sends.iter().map(|send| (send.to.clone(), send)).collect();
    let messages: BTreeMap<_, _> = cluster.sends().into_iter().map(|(message, sid)| (sid, message)).collect();
    let mut calls = Vec::new();
    for (end, status) in what {
        for person in people(*end) {
            let sid = sids[&handset(person)].sid.to_string();
            let path = match path {
                Path::OfTheLine => "/inbound/main/status".to_owned(),
                Path::OfTheMessage => status_path("main", messages[&sid].parse().unwrap(), 1),
            };
            calls.extend((0..3).map(|_| (path.clone(), sid.clone(), *status)));
        }
    }
    Dice::new(3).shuffle(&mut calls);
    stream::iter(calls)
        .for_each_concurrent(AT_ONCE, async |(path, sid, status)| {
            // A connection that was idle may be closed just as it is used: then on another, as Twilio does.
            let answer = match cluster.hook.status(&path, &sid, status).await {
                Ok(answer) => answer,
                Err(_) => cluster.hook.status(&path, &sid, status).await.unwrap(),
            };
            assert_eq!(answer.status(), 204);
        })
        .await;
}

/// How many first callbacks the simulator delivered before it answered.
fn hurried(cluster: &Cluster) -> u64 {
    let faults = cluster.simulator.faults();
    faults.iter().filter(|rule| rule.fault == Fault::CallbackBeforeAnswer).map(|rule| rule.happened).sum()
}
