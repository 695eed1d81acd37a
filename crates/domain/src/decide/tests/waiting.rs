//! Since when a case waits for a person.

use chrono::{DateTime, TimeDelta, Utc};

use super::bench::{Bench, HEATHER};
use crate::CaseNumber;
use crate::case::CaseStatus;

/// A bench with a case that was opened, and when its text was received.
fn opened() -> (Bench, CaseNumber, DateTime<Utc>) {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    let received = bench.now;
    bench.wait(TimeDelta::minutes(1));
    (bench, case, received)
}

fn waits(bench: &Bench, case: CaseNumber) -> Option<DateTime<Utc>> {
    bench.case(case).unanswered_since
}

#[test]
fn the_earliest_text_waits_longest_however_late_it_is_handled() {
    let (mut bench, case, received) = opened();
    bench.placed(HEATHER, "it is cold");
    assert_eq!(waits(&bench, case), Some(received));
    let mut late = bench.draft(HEATHER, "hello?");
    late.facts.received_at = received - TimeDelta::minutes(5);
    bench.place(late);
    assert_eq!(waits(&bench, case), Some(received - TimeDelta::minutes(5)));
}

#[test]
fn a_reply_answers_what_is_there_and_nothing_that_is_handled_later() {
    let (mut bench, case, received) = opened();
    bench.reply(case, "on our way", Some("k1"));
    assert_eq!(waits(&bench, case), None);
    // Received before the reply, but whoever wrote that had not seen it.
    let mut late = bench.draft(HEATHER, "the back door");
    late.facts.received_at = received;
    bench.place(late);
    assert_eq!(waits(&bench, case), Some(received));
    bench.reply(case, "on our way", Some("k1"));
    assert_eq!(waits(&bench, case), Some(received), "the same reply once more is none");
}

#[test]
fn who_sets_a_case_aside_has_not_answered_and_who_closes_it_has() {
    let (mut bench, case, received) = opened();
    bench.set(case, CaseStatus::Pending);
    bench.set(case, CaseStatus::Open);
    assert_eq!(waits(&bench, case), Some(received));
    bench.set(case, CaseStatus::Closed);
    assert_eq!(waits(&bench, case), None);
}

#[test]
fn what_a_version_from_before_left_in_a_closed_case_is_not_waited_for() {
    for by_text in [false, true] {
        let (mut bench, case, received) = opened();
        bench.set(case, CaseStatus::Closed);
        let closed = bench.shelf.cases.values_mut().next().expect("the case");
        closed.unanswered_since = Some(received);
        let again = bench.now;
        match by_text {
            true => drop(bench.placed(HEATHER, &format!("about {case}"))),
            false => bench.set(case, CaseStatus::Open),
        }
        assert_eq!(bench.case(case).status, CaseStatus::Open);
        assert_eq!(waits(&bench, case), by_text.then_some(again));
    }
}
