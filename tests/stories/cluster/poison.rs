//! Events that cannot be handled: set aside, while all others go through.

use std::time::Duration;

use casewire_bus::Stream;
use casewire_domain::{DedupeId, Event, EventKind, Source};
use casewire_simulator::{Fault, Rule};
use casewire_twilio::parameters::Parameters;
use casewire_twilio::webhook::status_path;
use chrono::Utc;
use serde_json::Value;

use crate::kit::{ACCOUNT, Cluster, Hook, handset, message_sid, person, publish, say};

const SETTLED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_handled_is_set_aside_and_the_rest_flows() {
    let cluster = Cluster::plan().in_one_shard().start().await;
    let early = Hook { line: "later".into(), ..cluster.hook.clone() };
    for n in 0..20 {
        good(&cluster, n).await;
        match n {
            5 => publish(&cluster.nats, "in.0.message", b"\xff\xff no event at all").await,
            10 => publish_text(&cluster, &early, &person(1)).await,
            15 => publish_text(&cluster, &cluster.hook, "").await,
            _ => {}
        }
    }
    cluster.settle(SETTLED).await;
    let figures = cluster.check(3).await;
    assert_eq!((figures.taken, figures.sent), (20, 20));

    let letters = dead_letters(&cluster).await;
    let of = |reason: &str| {
        let found = letters.iter().find(|letter| letter["reason"].as_str().unwrap().contains(reason));
        found.unwrap_or_else(|| panic!("{reason:?} is not in {letters:?}"))["id"].as_str().unwrap().to_owned()
    };
    let (bytes, unknown, nobody) = (of("cannot be decoded"), of("no line"), of("From is missing"));
    assert!(cluster.command(&["dead-letter", "show", &bytes]).await.contains("no event at all"));
    assert!(cluster.command(&["dead-letter", "replay", &bytes]).await.contains("cannot be decoded"));
    assert!(cluster.command(&["dead-letter", "replay", &nobody]).await.contains("From is missing"));
    // What was wrong is put right: the text becomes a case after all.
    let add = ["line", "add", "--id", "later", "--number", "+15550002222", "--account-sid", ACCOUNT];
    cluster.command(&add).await;
    assert!(cluster.command(&["dead-letter", "replay", &unknown]).await.contains("it is in case"));
    assert_eq!(dead_letters(&cluster).await.len(), 2);
    say(&format!("three dead letters among {figures}"));
}

/// A text that must get through.
async fn good(cluster: &Cluster, n: u64) {
    assert!(cluster.books.deliver(&cluster.hook, &message_sid(), &person(n), "hello").await);
}

async fn dead_letters(cluster: &Cluster) -> Vec<Value> {
    let list = cluster.command(&["dead-letter", "list", "--json"]).await;
    serde_json::from_str(&list).unwrap()
}

/// A text as ingest would publish it, though it would not have taken this one.
async fn publish_text(cluster: &Cluster, hook: &Hook, from: &str) {
    let sid = message_sid();
    let event = Event {
        dedupe_id: DedupeId::new(format!("i:{ACCOUNT}:{sid}")).unwrap(),
        kind: EventKind::Message,
        source: Source::Webhook,
        line: hook.line.clone(),
        method: "POST".into(),
        target: format!("/inbound/{}", hook.line),
        content_type: "application/x-www-form-urlencoded".into(),
        body: hook.form(&sid, from, "hello").encode().into_bytes(),
        received_at: Utc::now(),
        trace: Default::default(),
    };
    cluster.stream.publish(&event, 0).await.unwrap();
}

/// What no provider sends, though its signature is right: field, and what it says.
const STRANGE: [(&str, &str); 8] = [
    ("Body", "before \0 after"),
    ("From", "+1206\0"),
    ("From", "'; drop table message; --"),
    ("FromCity", "\0"),
    ("NumMedia", "4294967295"),
    ("NumMedia", "-1"),
    ("MediaUrl0", "https://example.org/\0\u{202e}"),
    ("OptOutType", "\0"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_but_signed_requests_stop_nobody_else() {
    let cluster = Cluster::plan().in_one_shard().start().await;
    // One text of ours is sent and one is not, for a callback that is of one by its path and of the other by its SID.
    let busy = Rule { to: Some(handset(2)), ..Rule::always(Fault::TooManyRequests { retry_after_s: None }) };
    cluster.simulator.set_faults(vec![busy]).unwrap();
    let ours = "select count(*) from message where automatic";
    let sent = "select count(*) from message where automatic and provider_sid is not null";
    good(&cluster, 1).await;
    cluster.wait_for("one text of ours is sent", sent, SETTLED, |sent| sent == 1).await;
    good(&cluster, 2).await;
    cluster.wait_for("one is not", ours, SETTLED, |ours| ours == 2).await;
    let unsent =
        cluster.sql("select id from message where automatic and provider_sid is null").await.concat();
    let (sent, sid) = cluster.sends().remove(0);
    for (n, (field, value)) in (10..).zip(STRANGE) {
        good(&cluster, n).await;
        let form = cluster.hook.form(&message_sid(), &person(100 + n), "hello");
        let mut form: Parameters = form.iter().filter(|(name, _)| *name != field).collect();
        form.push(field, value);
        assert_eq!(cluster.hook.post("/inbound/main", &form).await.unwrap().status(), 200);
    }
    for (message, error_code) in [(&unsent, "30008"), (&sent, "4294967295"), (&sent, "99999999999999")] {
        let path = status_path("main", message.parse().unwrap(), 1);
        let form = [("MessageSid", sid.as_str()), ("MessageStatus", "read"), ("ErrorCode", error_code)];
        let answer = cluster.hook.post(&path, &form.into_iter().collect()).await.unwrap();
        assert_eq!(answer.status(), 204);
    }
    good(&cluster, 3).await;
    cluster.simulator.set_faults(Vec::new()).unwrap();
    cluster.settle(SETTLED).await;
    let handled = "select count(*) from event where outcome in ('handled', 'dead') and kind = 'message'";
    assert_eq!(cluster.count(handled).await, 3 + 2 * STRANGE.len() as u64);
    // One has a code that is no number: it is known by its content.
    let reports = "select count(*) from event where kind = 'message_status' \
                   and (dedupe_id like '%:read:%' or dedupe_id like 'h:%')";
    assert_eq!(cluster.count(reports).await, 3);
    let letters = dead_letters(&cluster).await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    say(&format!("set aside: {reasons:?}"));
    assert!(reasons.contains(&"the provider's id belongs to another text than the path"));
}
