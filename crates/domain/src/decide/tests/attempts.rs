//! Attempts to send: never twice where once may have been enough.

use std::time::Duration;

use chrono::TimeDelta;

use super::bench::{Bench, HEATHER, accepted};
use crate::case::Trail;
use crate::command::Command;
use crate::decide::{Outcome, Refusal};
use crate::outbox::{AttemptOutcome, OutboxState};
use crate::{DeliveryStatus, MessageId};

fn not_processed(seconds: u64) -> AttemptOutcome {
    AttemptOutcome::NotProcessed { retry_after: Duration::from_secs(seconds) }
}

fn status(bench: &Bench, id: MessageId) -> DeliveryStatus {
    bench.message(id).progress.status()
}

#[test]
fn an_accepted_text_leaves_the_outbox() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    assert_eq!(bench.attempted(id, 1, accepted(&sid)), Outcome::Attempted { duplicate_send: false });
    assert_eq!((bench.outbox(id), bench.message(id).provider_sid.as_ref()), (None, Some(&sid)));
    assert_eq!(bench.trail(Trail::SendAccepted).len(), 1);
    bench.attempted(id, 1, accepted(&sid));
    assert_eq!(bench.trail(Trail::SendAccepted).len(), 1, "told twice is told once");
}

#[test]
fn a_text_never_processed_waits_for_its_next_turn() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    bench.attempted(id, 1, not_processed(30));
    let row = &bench.shelf.outbox[&id];
    assert_eq!((row.state, row.due_at), (OutboxState::Pending, bench.now + TimeDelta::seconds(30)));
    assert_eq!((row.attempt, row.lease_until), (1, None));
    bench.attempted(id, 1, not_processed(99));
    assert_eq!(bench.shelf.outbox[&id].due_at, bench.now + TimeDelta::seconds(30), "told twice is told once");
}

#[test]
fn no_wait_is_longer_than_a_day() {
    for longest in [Duration::MAX, Duration::from_secs(u64::from(u32::MAX))] {
        let mut bench = Bench::new();
        let (_, id) = bench.sending();
        bench.attempted(id, 1, AttemptOutcome::NotProcessed { retry_after: longest });
        assert_eq!(bench.shelf.outbox[&id].due_at, bench.now + TimeDelta::days(1));
    }
}

#[test]
fn an_uncertain_text_is_held_and_holds_its_lane_for_a_minute() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let begun = bench.now;
    bench.wait(TimeDelta::seconds(15));
    bench.attempted(id, 1, AttemptOutcome::Uncertain);
    let row = &bench.shelf.outbox[&id];
    let minute = TimeDelta::seconds(60);
    assert_eq!((row.state, row.due_at), (OutboxState::Uncertain, begun + minute), "a minute of the attempt");
    assert!(bench.claim().is_empty());
    bench.attempted(id, 1, AttemptOutcome::Uncertain);
    assert_eq!(bench.trail(Trail::SendUncertain).len(), 1);
}

#[test]
fn a_text_whose_process_died_holds_its_lane_no_longer_and_neither_does_a_clock_that_was_set() {
    for (waited, left) in [(75, 0), (-7_200, 60)] {
        let mut bench = Bench::new();
        let (_, id) = bench.sending();
        bench.wait(TimeDelta::seconds(waited));
        bench.attempted(id, 1, AttemptOutcome::Uncertain);
        assert_eq!(bench.shelf.outbox[&id].due_at, bench.now + TimeDelta::seconds(left), "{waited}");
    }
}

#[test]
fn a_late_definite_answer_settles_an_uncertain_attempt() {
    for (outcome, left) in [
        (not_processed(0), Some(OutboxState::Pending)),
        (AttemptOutcome::Rejected { code: Some(30_007) }, None),
        (accepted("SM1"), None),
    ] {
        let mut bench = Bench::new();
        let (_, id) = bench.sending();
        bench.attempted(id, 1, AttemptOutcome::Uncertain);
        bench.attempted(id, 1, outcome.clone());
        assert_eq!(bench.outbox(id), left, "{outcome:?}");
    }
}

#[test]
fn a_definite_answer_stands_though_the_attempt_is_called_lost_meanwhile() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    bench.attempted(id, 1, not_processed(0));
    bench.attempted(id, 1, AttemptOutcome::Uncertain);
    assert_eq!(bench.outbox(id), Some(OutboxState::Pending));
}

#[test]
fn in_one_batch_too_a_text_the_provider_has_is_settled_for_good() {
    for report_first in [true, false] {
        let mut bench = Bench::new();
        let (_, id) = bench.sending();
        let told = Command::Attempted { message_id: id, attempt: 1, outcome: not_processed(0), trace: None };
        let report = bench.report("SM1", DeliveryStatus::Sent, Some((id, 1)));
        let batch = if report_first { [report, told] } else { [told, report] };
        bench.batch(&batch);
        assert_eq!(bench.outbox(id), None);
    }
}

#[test]
fn a_text_written_and_settled_in_one_batch_is_stored_as_it_is_in_the_end() {
    let mut bench = Bench::new();
    let text = bench.draft(HEATHER, "my heater is broken").into();
    // Ids are counted: the case, the text, its answer.
    let message_id = MessageId(uuid::Uuid::from_u128(3));
    let told = Command::Attempted { message_id, attempt: 0, outcome: accepted("SM1"), trace: None };
    bench.batch(&[text, told]);
    assert_eq!(bench.message(message_id).provider_sid.as_deref(), Some("SM1"));
    assert_eq!(bench.outbox(message_id), None);
}

#[test]
fn what_is_told_of_an_earlier_attempt_does_not_touch_the_one_under_way() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    bench.attempted(id, 1, not_processed(0));
    assert_eq!(bench.claim(), [(id, 2)]);
    let late = [
        AttemptOutcome::Uncertain,
        AttemptOutcome::Rejected { code: None },
        AttemptOutcome::Suppressed,
        not_processed(0),
    ];
    for outcome in late {
        bench.attempted(id, 1, outcome);
        assert_eq!((bench.outbox(id), bench.shelf.outbox[&id].attempt), (Some(OutboxState::Sending), 2));
    }
}

#[test]
fn a_late_acceptance_of_an_earlier_attempt_settles_the_message() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    bench.attempted(id, 1, not_processed(0));
    assert_eq!(bench.claim(), [(id, 2)]);
    let (first, second) = (bench.sid(), bench.sid());
    bench.attempted(id, 1, accepted(&first));
    assert_eq!(bench.outbox(id), None);
    assert_eq!(bench.attempted(id, 2, accepted(&second)), Outcome::Attempted { duplicate_send: true });
    assert_eq!(bench.message(id).provider_sid, Some(first));
    assert_eq!(bench.trail(Trail::DuplicateSendDetected)[0].change.tree()["attempt"], 2);
}

#[test]
fn a_refused_text_has_failed_with_the_code() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    bench.attempted(id, 1, AttemptOutcome::Rejected { code: Some(21_211) });
    assert_eq!((bench.outbox(id), status(&bench, id)), (None, DeliveryStatus::Failed));
    assert_eq!(bench.message(id).progress.error_code(), Some(21_211));
    assert_eq!(bench.trail(Trail::SendFailed)[0].why.tree()["because"], "rejected");
    assert!(bench.claim().is_empty());
}

#[test]
fn a_refusal_for_an_opt_out_is_remembered() {
    let mut bench = Bench::new();
    let (case, id) = bench.sending();
    bench.attempted(id, 1, AttemptOutcome::Rejected { code: Some(21_610) });
    assert_eq!(bench.reply(case, "hello?", None), Outcome::Refused(Refusal::OptedOut));
    bench.text(HEATHER, "still cold");
    assert_eq!(bench.answers(), 1);
}

#[test]
fn a_text_to_somebody_who_stopped_meanwhile_is_canceled() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    bench.attempted(id, 1, AttemptOutcome::Suppressed);
    assert_eq!((bench.outbox(id), status(&bench, id)), (None, DeliveryStatus::Canceled));
    assert_eq!(bench.trail(Trail::SendFailed)[0].why.tree()["because"], "opted_out");
}

#[test]
fn an_acceptance_under_an_id_that_tells_nothing_holds_the_text() {
    let mut bench = Bench::new();
    let (case, first) = bench.sending();
    let sid = bench.sid();
    bench.attempted(first, 1, accepted(&sid));
    for unusable in [sid.as_str(), ""] {
        bench.reply(case, "on our way", None);
        let [(id, 1)] = bench.claim()[..] else { unreachable!("one reply") };
        bench.attempted(id, 1, not_processed(0));
        bench.attempted(id, 1, accepted(unusable));
        bench.attempted(id, 1, accepted(unusable));
        assert_eq!(
            (bench.outbox(id), &bench.message(id).provider_sid),
            (Some(OutboxState::Uncertain), &None)
        );
    }
    assert!(bench.claim().is_empty());
    assert_eq!(bench.trail(Trail::SendUncertain).len(), 2, "told twice is told once");
}

#[test]
fn two_texts_accepted_under_one_id_in_one_batch_are_told_apart() {
    let mut bench = Bench::new();
    let (case, first) = bench.sending();
    bench.reply(case, "on our way", None);
    let [(second, 1)] = bench.claim()[..] else { unreachable!("one reply") };
    let told =
        |message_id| Command::Attempted { message_id, attempt: 1, outcome: accepted("SM1"), trace: None };
    bench.batch(&[told(first), told(second)]);
    assert_eq!((bench.outbox(first), bench.outbox(second)), (None, Some(OutboxState::Uncertain)));
}

#[test]
fn an_outcome_of_a_message_nobody_knows_changes_nothing() {
    let mut bench = Bench::new();
    let before = bench.shelf.clone();
    bench.attempted(MessageId(uuid::Uuid::max()), 1, accepted("SM1"));
    assert_eq!(bench.shelf, before);
}
