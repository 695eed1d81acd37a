//! Delivery callbacks.

use super::bench::{Bench, FOREIGN, HEATHER, MAIN, SECOND, accepted, reported};
use crate::case::Trail;
use crate::command::Command;
use crate::decide::{Outcome, Refusal};
use crate::message::Direction;
use crate::outbox::AttemptOutcome;
use crate::state::EventOutcome;
use crate::{DedupeId, DeliveryStatus, MessageId, TraceParent};

const SOME_SID: &str = "SMffffffffffffffffffffffffffffffff";
const NO_DOUBLE: Option<(bool, bool)> = Some((false, false));
const DOUBLE: Option<(bool, bool)> = Some((true, false));

fn status(bench: &Bench, id: MessageId) -> DeliveryStatus {
    bench.message(id).progress.status()
}

#[test]
fn a_report_that_comes_before_the_answer_lands() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    let report = bench.report(&sid, DeliveryStatus::Delivered, Some((id, 1)));
    assert_eq!(reported(&bench.take(report)), NO_DOUBLE);
    assert_eq!((status(&bench, id), bench.outbox(id)), (DeliveryStatus::Delivered, None));
    assert_eq!(bench.message(id).provider_sid.as_deref(), Some(sid.as_str()));
    assert_eq!(bench.attempted(id, 1, accepted(&sid)), Outcome::Attempted { duplicate_send: false });
    assert_eq!(status(&bench, id), DeliveryStatus::Delivered, "the answer's queued undoes nothing");
}

#[test]
fn a_report_without_our_path_waits_until_its_text_is_known() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    let report = bench.report(&sid, DeliveryStatus::Delivered, None);
    assert_eq!(bench.take(report.clone()), Outcome::Waiting);
    let event = DedupeId::new(format!("s:{MAIN}:{sid}:delivered:0")).unwrap();
    let row = &bench.shelf.events[&event];
    assert_eq!((row.outcome, row.provider_sid.as_deref()), (EventOutcome::Waiting, Some(sid.as_str())));
    assert_eq!(bench.take(report.clone()), Outcome::Waiting, "it can be tried as often as one likes");
    bench.attempted(id, 1, accepted(&sid));
    assert_eq!(reported(&bench.take(report.clone())), NO_DOUBLE);
    assert_eq!(status(&bench, id), DeliveryStatus::Delivered);
    assert_eq!(bench.take(report), Outcome::Duplicate);
}

#[test]
fn order_and_repetition_of_reports_do_not_matter() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    let all = [DeliveryStatus::Delivered, DeliveryStatus::Sent, DeliveryStatus::Queued, DeliveryStatus::Sent];
    let reports: Vec<_> = all.map(|status| bench.report(&sid, status, Some((id, 1)))).into();
    let outcomes = bench.batch(&reports);
    assert_eq!(outcomes[..3].iter().map(reported).collect::<Vec<_>>(), [NO_DOUBLE; 3]);
    assert_eq!(outcomes[3], Outcome::Duplicate);
    assert_eq!(status(&bench, id), DeliveryStatus::Delivered);
    assert_eq!(bench.trail(Trail::DeliveryChanged).len(), 1, "what says nothing new leaves no trail");
}

#[test]
fn an_error_code_is_kept_and_shown_in_the_trail() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    let failed = bench.report_on(MAIN, &sid, DeliveryStatus::Undelivered, Some(30_003), Some((id, 1)));
    bench.take(failed);
    let sent = bench.report(&sid, DeliveryStatus::Sent, None);
    bench.take(sent);
    let progress = bench.message(id).progress;
    assert_eq!((progress.status(), progress.error_code()), (DeliveryStatus::Undelivered, Some(30_003)));
    assert_eq!(bench.trail(Trail::DeliveryChanged)[0].change.tree()["error_code"], 30_003);
}

#[test]
fn error_21610_is_an_opt_out() {
    let mut bench = Bench::new();
    let (case, id) = bench.sending();
    let sid = bench.sid();
    let refused = bench.report_on(MAIN, &sid, DeliveryStatus::Failed, Some(21_610), Some((id, 1)));
    bench.take(refused);
    assert_eq!(bench.reply(case, "hello?", None), Outcome::Refused(Refusal::OptedOut));
    bench.wait(chrono::TimeDelta::seconds(1));
    assert_eq!(bench.text(HEATHER, "START"), Outcome::Recorded);
    assert!(matches!(bench.reply(case, "welcome back", None), Outcome::Replied { .. }));
}

#[test]
fn a_second_text_for_one_message_is_noticed() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let (first, second) = (bench.sid(), bench.sid());
    bench.attempted(id, 1, AttemptOutcome::Uncertain);
    bench.attempted(id, 1, accepted(&first));
    let report = bench.report(&second, DeliveryStatus::Delivered, Some((id, 1)));
    assert_eq!(reported(&bench.take(report)), DOUBLE);
    assert_eq!(status(&bench, id), DeliveryStatus::Queued, "our text's own way is not touched by it");
    assert_eq!(bench.message(id).provider_sid, Some(first));
    let entry = bench.trail(Trail::DuplicateSendDetected)[0];
    assert_eq!(
        (&entry.change.tree()["provider_sid"], &entry.change.tree()["attempt"]),
        (&second.into(), &1.into())
    );
}

#[test]
fn a_report_on_any_attempts_path_settles_the_message() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    bench.attempted(id, 1, AttemptOutcome::NotProcessed { retry_after: std::time::Duration::ZERO });
    assert_eq!(bench.claim(), [(id, 2)]);
    let sid = bench.sid();
    let report = bench.report(&sid, DeliveryStatus::Sent, Some((id, 1)));
    assert_eq!(reported(&bench.take(report)), NO_DOUBLE);
    assert_eq!((bench.outbox(id), status(&bench, id)), (None, DeliveryStatus::Sent));
}

/// Takes a report that contradicts what is known: it must leave nothing but its dead letter.
#[track_caller]
fn set_aside(bench: &mut Bench, report: Command, because: &str) {
    let before = bench.shelf.clone();
    assert_eq!(bench.take(report), Outcome::SetAside(because.into()));
    bench.shelf.events.clone_from(&before.events);
    assert_eq!(bench.shelf, before);
}

#[test]
fn a_report_is_believed_only_of_texts_of_the_account_that_signed_it() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    let forged = bench.report_on(FOREIGN, &sid, DeliveryStatus::Delivered, Some(21_610), Some((id, 1)));
    set_aside(&mut bench, forged, "the text of its path went through another account");
    bench.attempted(id, 1, accepted(&sid));
    let forged = bench.report_on(FOREIGN, &sid, DeliveryStatus::Delivered, None, None);
    assert_eq!(bench.take(forged), Outcome::Waiting, "that account may have a text of this id itself");
    assert_eq!(status(&bench, id), DeliveryStatus::Queued);
    let on_another_line = bench.report_on(SECOND, &sid, DeliveryStatus::Delivered, None, None);
    assert_eq!(
        reported(&bench.take(on_another_line)),
        NO_DOUBLE,
        "lines of one account speak for each other"
    );
}

#[test]
fn a_report_whose_path_and_id_contradict_each_other_is_set_aside() {
    let mut bench = Bench::new();
    let (case, first) = bench.sending();
    let sid = bench.sid();
    bench.attempted(first, 1, accepted(&sid));
    bench.reply(case, "on our way", None);
    let [(second, 1)] = bench.claim()[..] else { unreachable!("one reply") };
    let report = bench.report(&sid, DeliveryStatus::Delivered, Some((second, 1)));
    set_aside(&mut bench, report, "the provider's id belongs to another text than the path");
}

#[test]
fn a_report_on_a_text_that_came_in_is_set_aside() {
    let mut bench = Bench::new();
    bench.placed(HEATHER, "my heater is broken");
    let (id, sid) = {
        let text = bench.last(Direction::Inbound);
        (text.id, text.provider_sid.clone().unwrap())
    };
    let by_sid = bench.report(&sid, DeliveryStatus::Delivered, None);
    set_aside(&mut bench, by_sid, "it reports on a text that came in");
    let by_path = bench.report(SOME_SID, DeliveryStatus::Delivered, Some((id, 1)));
    set_aside(&mut bench, by_path, "it reports on a text that came in");
}

#[test]
fn a_report_for_a_line_nobody_knows_is_set_aside() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let report = bench.report_on("nowhere", SOME_SID, DeliveryStatus::Sent, None, Some((id, 1)));
    set_aside(&mut bench, report, "there is no line of this webhook id");
}

#[test]
fn a_second_text_the_customer_refused_is_an_opt_out_too() {
    let mut bench = Bench::new();
    let (case, id) = bench.sending();
    let first = bench.sid();
    bench.attempted(id, 1, accepted(&first));
    let second = bench.report_on(MAIN, SOME_SID, DeliveryStatus::Failed, Some(21_610), Some((id, 1)));
    assert_eq!(reported(&bench.take(second)), DOUBLE);
    assert_eq!(bench.reply(case, "hello?", None), Outcome::Refused(Refusal::OptedOut));
}

#[test]
fn a_report_tells_the_trace_of_the_sending_and_how_long_delivery_took_once() {
    let mut bench = Bench::new();
    let (_, id) = bench.sending();
    let sid = bench.sid();
    let trace = TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let outcome = accepted(&sid);
    bench.take(Command::Attempted { message_id: id, attempt: 1, outcome, trace: trace.clone() });
    let mut told = |status| {
        let report = bench.report(&sid, status, Some((id, 1)));
        match bench.take(report) {
            Outcome::Reported { delivered_after, trace, .. } => (delivered_after.is_some(), trace),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(DeliveryStatus::Sent), (false, trace.clone()));
    assert_eq!(told(DeliveryStatus::Delivered), (true, trace.clone()));
    assert_eq!(told(DeliveryStatus::Read), (false, trace));
}
