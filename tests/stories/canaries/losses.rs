//! What is lost for a while, and what is told of it: texts that wait in the spill, one whose webhook never came, and one
//! of which nobody can tell whether it was sent.

use std::time::Duration;

use casewire_simulator::{Fault, HandsetDraft, Line, Rule};
use casewire_testkit::eventually_some;
use serde_json::Value;

use super::run::{SETTLED, TEXT, WELL, number_of, text};
use crate::kit::{ACCOUNT, Cluster, Desk, Plan, handset, number, texts};

/// Customers: one whose answer is held, and one whose text is found on the provider's list alone.
pub(super) const HELD: u64 = 3_559_440;
pub(super) const MISSED: u64 = 3_559_541;
/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(60);
/// What the spill may hold: a few dozen texts.
const SPILL: &str = "32KiB";
const MOST_SPILLED: u64 = 500;
/// Long after the last look for a text.
const LATE: u64 = 20_000;

/// All of it within seconds.
pub(super) fn soon(plan: Plan) -> Plan {
    plan.with_spill()
        .set("INGEST__SPILL_AFTER", "300ms")
        .set("INGEST__SPILL_MAX_BYTES", SPILL)
        .set("SENDER__SETTLE_FIRST", "1500ms")
        .set("SENDER__SETTLE_SECOND", "2s")
        .set("SENDER__SETTLE_LAST", "3s")
        .set("SENDER__SETTLE_POLL", "100ms")
        .set("SENDER__SETTLE_RETRY", "100ms")
        .set("WORKER__SWEEP_INTERVAL", "1s")
        .set("WORKER__SWEEP_SETTLE", "1s")
        .set("WORKER__RECONCILE_SETTLE", "1s")
        .set("WORKER__RECONCILE_GAP", "2s")
        .set("WORKER__RECONCILE_INTERVAL", "2s")
}

/// The stream is away until the spill is full, and comes back.
pub(super) async fn is_spilled(cluster: &Cluster) {
    cluster.settle(SETTLED).await;
    let stored = "select count(*) from message where direction = 'inbound'";
    let (before, mut spilled) = (cluster.count(stored).await, 0);
    cluster.nats.kill().unwrap();
    let refused = loop {
        let status = text(&cluster.hook, WELL).await;
        if status != 200 {
            break status;
        }
        spilled += 1;
        assert!(spilled < MOST_SPILLED, "the spill does not fill");
    };
    assert_eq!(refused, 503);
    assert!(spilled > 3, "only {spilled} were spilled");
    cluster.nats.restart().await.unwrap();
    let all = before + spilled;
    cluster.wait_for("what was spilled is in its case", stored, SETTLED, |now| now == all).await;
}

/// A text of ours that is on no list in time, whose list cannot be read at first, and about which a person decides; what
/// the command printed.
pub(super) async fn is_held(cluster: &Cluster, desk: &Desk) -> Vec<(String, Vec<u8>)> {
    let to = |fault| Rule { to: Some(handset(HELD)), ..Rule::always(fault) };
    let unread = Rule { next: Some(1), ..to(Fault::ListError) };
    let late = to(Fault::LateOnList { after_ms: LATE });
    let faults = [unread, late, to(Fault::HangAfterAccepting), to(Fault::DropCallbacks)];
    cluster.simulator.set_faults(faults.into()).unwrap();
    assert_eq!(text(&cluster.hook, HELD).await, 200);
    let held = "select count(*) from case_event where kind = 'send_unsettled'";
    cluster.wait_for("a text is held", held, SETTLED, |held| held == 1).await;
    let number = number_of(desk, HELD).await;
    let case = desk.case(&number).await;
    let text = texts(&case, "outbound").find(|text| text["held"] == true).unwrap();
    let id = text["id"].as_str().unwrap();
    let (said, place) = printed(cluster, &["case", "resolve", &number, id, "do-not-send"]).await;
    assert_eq!(said.trim_end(), "it is given up.");
    vec![place]
}

/// A text whose webhook reaches nobody; what the commands printed that find it.
pub(super) async fn is_missed(cluster: &Cluster) -> Vec<(String, Vec<u8>)> {
    let nowhere = "http://127.0.0.1:1/inbound/main#rc=0";
    cluster.simulator.set_line(Line::new(number(), ACCOUNT.parse().unwrap(), nowhere.to_owned()));
    let draft = HandsetDraft::new(handset(MISSED), number(), format!("{TEXT} is still broken"));
    let sent = cluster.simulator.send_text(draft).await.unwrap();
    assert!(!sent.taken);
    let found = format!("select count(*) from message where provider_sid = '{}'", sent.sid);
    // What was sent a moment ago is left to the next comparison.
    let compared = eventually_some("the text is found", SETTLED, async || {
        let (said, place) = printed(cluster, &["reconcile", "--since", "1h", "--json"]).await;
        let report: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(report["lines"][0]["complete"], true, "{report}");
        (cluster.count(&found).await == 1).then_some(place)
    });
    let compared = compared.await.unwrap();
    let scheduled =
        "select count(*) from reconciliation where asked_by = 'schedule' and finished_at is not null";
    cluster.wait_for("the workers compare by themselves", scheduled, SETTLED, |done| done > 0).await;
    vec![compared, printed(cluster, &["reconcile", "--last"]).await.1]
}

/// What a command printed, and all of it with what it complained of.
async fn printed(cluster: &Cluster, args: &[&str]) -> (String, (String, Vec<u8>)) {
    let finished = cluster.program(args).run(COMMAND).await.unwrap();
    // Gaps that were found and closed are told by a 3.
    assert!(matches!(finished.status.code(), Some(0 | 3)), "{}", finished.stderr);
    let all = format!("{}\n{}", finished.stdout, finished.stderr).into_bytes();
    (finished.stdout, (format!("what `casewire {}` printed", args[..2].join(" ")), all))
}
