//! Whether the checker notices: a sound ledger, spoilt in one way at a time. It runs before anything is played.

use std::collections::HashMap;
use std::time::Duration;

use crate::books::{Entry, Kind};
use crate::found::{Found, Inbound, Outbound, Sent};
use crate::invariants::Expected;
use crate::vitals::Vitals;

fn entry(kind: Kind, answer: u16, sender: u64, first: u64) -> Entry {
    let (first, done) = (Duration::from_secs(first), Duration::from_secs(first + 1));
    Entry { kind, answer, tries: 1, sender, first, done }
}

fn inbound(sid: &str, case: &str, conversation: &str, rule: &str, received: f64) -> Inbound {
    let [sid, case, conversation, rule] = [sid, case, conversation, rule].map(str::to_owned);
    Inbound { sid, case, conversation, rule, received }
}

fn outbound(id: &str, sid: &str, outbox: &str, case: &str, status: &str) -> Outbound {
    let [id, sid, outbox, case, status] = [id, sid, outbox, case, status].map(str::to_owned);
    Outbound { id, sid, outbox, case, status, to: "one".into(), decided: 100.0 }
}

/// Two people's cases, a STOP, a forged text, a strange one that was set aside, one that was given up, one of ours
/// that is held.
fn sound() -> Found {
    let books = [
        ("SM1", entry(Kind::Text, 200, 1, 0)),
        ("SM2", entry(Kind::Text, 200, 2, 0)),
        ("SM3", entry(Kind::Text, 200, 1, 5)),
        ("SM4", entry(Kind::Stop, 200, 3, 0)),
        ("SM5", entry(Kind::Forged, 403, 4, 0)),
        ("SM6", entry(Kind::Strange, 200, 5, 0)),
        ("SM7", entry(Kind::Text, 503, 6, 0)),
    ];
    Found {
        books: books.map(|(sid, entry)| (sid.to_owned(), entry)).into(),
        inbound: vec![
            inbound("SM1", "c1", "a", "opened_first", 10.0),
            inbound("SM2", "c2", "b", "opened_first", 20.0),
            inbound("SM3", "c1", "a", "joined_current", 30.0),
            inbound("SM4", "", "s", "stop", 40.0),
        ],
        events: ["SM1", "SM2", "SM3", "SM4"].map(str::to_owned).into(),
        cases: vec![("a".into(), 1), ("b".into(), 1)],
        outbound: vec![
            outbound("m1", "SM8", "", "c1", "delivered"),
            outbound("m2", "", "uncertain", "c2", "queued"),
        ],
        sends: vec![Sent {
            message: "m1".into(),
            sid: "SM8".into(),
            to: "one".into(),
            accepted: 110.0,
            status: "delivered".into(),
        }],
        reported: vec![("SM8".into(), "delivered".into()), ("SM8".into(), "sent".into())],
        stopped: HashMap::from([("three".into(), 40.0)]),
        set_aside: vec!["SM6".into()],
        dead: 1,
        backlog: Some(0),
    }
}

type Spoil = fn(&mut Found);

/// What is spoilt, which invariant must tell, and how.
#[rustfmt::skip]
const SPOILT: &[(&str, &str, Spoil)] = &[
    ("a lost text", "I1", |found| drop(found.inbound.remove(2))),
    ("a text stored twice", "I1", |found| found.inbound.extend_from_within(..1)),
    ("a text that nobody sent", "I1", |found| found.inbound[2].sid = "SM9".into()),
    ("a strange text that is nowhere", "I1", |found| found.set_aside.clear()),
    ("a forged text that is stored", "I2", |found| found.events.push("SM5".into())),
    ("a forged text that was taken", "I2", |found| found.books.insert("SM5".into(), entry(Kind::Forged, 200, 4, 0)).map_or((), drop)),
    ("a text of ours that is at the provider twice", "I3", |found| found.sends.extend_from_within(..)),
    ("a text that only the provider knows", "I3", |found| found.sends[0].message = "m9".into()),
    ("a text under another SID", "I3", |found| found.outbound[0].sid = "SM9".into()),
    ("two acknowledgements of a case", "I3", |found| found.outbound[1].case = "c1".into()),
    ("a text in no case", "I4", |found| found.inbound[2].case.clear()),
    ("a STOP in a case", "I4", |found| found.inbound[3].case = "c1".into()),
    ("a conversation with two cases", "I4", |found| found.cases.push(("a".into(), 1))),
    ("a case opened twice", "I4", |found| found.cases[0].1 = 2),
    ("a case without a text", "I4", |found| found.cases.push(("c".into(), 1))),
    ("a status that went back", "I5", |found| found.outbound[0].status = "sent".into()),
    ("a status that nobody told of", "I5", |found| found.outbound[0].status = "failed".into()),
    ("a delivery that neither a callback nor the provider knows of", "I5", |found| { found.reported.remove(0); found.sends[0].status = "sent".into(); }),
    ("a text decided on after a STOP", "I6", |found| found.outbound[0].to = "three".into()),
    ("a text sent long after a STOP", "I6", |found| { found.sends[0].to = "three".into(); found.sends[0].accepted = 1e6; }),
    ("a text that waits for ever", "I7", |found| found.outbound[1].outbox = "pending".into()),
    ("a text that the provider has and we do not know of", "I7", |found| found.outbound[0].outbox = "uncertain".into()),
    ("a later text shown before an earlier one", "I8", |found| found.inbound[2].received = 5.0),
    ("work that is left", "I9", |found| found.backlog = Some(1)),
    ("a dead letter", "I9", |found| found.dead = 2),
];

/// Texts of a row with this baseline of a process.
const TEXTS: usize = 20_000;
const BASELINE: Vitals = Vitals { files: 20, threads: 8, memory: 30 << 20 };

/// A process that holds more than it may: what, of which role, and all that it holds.
const GROWN: &[(&str, &str, Vitals)] = &[
    ("a connection that stays open for each kill", "ingest", Vitals { files: 120, ..BASELINE }),
    ("five files of an ingest", "ingest", Vitals { files: 25, ..BASELINE }),
    ("more connections than a pool has", "worker", Vitals { files: 39, ..BASELINE }),
    ("threads that do not end", "worker", Vitals { threads: 11, ..BASELINE }),
    ("3 kilobytes of every text", "worker", Vitals { memory: BASELINE.memory + 3_000 * TEXTS, ..BASELINE }),
];

/// What the checker does not notice of processes.
fn unnoticed_growth() -> impl Iterator<Item = String> {
    let missed = GROWN.iter().filter(|(_, role, grown)| grown.is_at_rest(role, BASELINE, TEXTS));
    missed.map(|(what, ..)| format!("I10 does not notice {what}"))
}

/// What the checker does not notice, or complains of without reason.
pub(crate) fn unnoticed() -> Vec<String> {
    let of = |found: &Found| found.broken(&Expected::default());
    let needless = of(&sound()).into_iter().map(|broken| format!("complained without reason: {broken:?}"));
    let missed = SPOILT.iter().filter_map(|(what, invariant, spoil)| {
        let mut found = sound();
        spoil(&mut found);
        let told = of(&found).iter().any(|broken| broken.invariant == *invariant);
        (!told).then(|| format!("{invariant} does not notice {what}"))
    });
    let restless =
        ["ingest", "worker"].into_iter().filter(|role| !BASELINE.is_at_rest(role, BASELINE, TEXTS));
    let restless = restless.map(|role| format!("complained without reason of a {role} at its baseline"));
    needless.chain(missed).chain(restless).chain(unnoticed_growth()).collect()
}
