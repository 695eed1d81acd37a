//! What agents do.

use chrono::TimeDelta;

use super::bench::{ANNA, Bench, HEATHER, IAN};
use crate::case::{CaseStatus, Trail};
use crate::command::{Command, Reply};
use crate::decide::{Outcome, Refusal};
use crate::message::{Direction, Rule};
use crate::outbox::OutboxState;
use crate::{CaseNumber, MessageId, Text};

fn queued(outcome: &Outcome) -> MessageId {
    match outcome {
        Outcome::Replied { message_id, repeated: false } => *message_id,
        other => unreachable!("not queued: {other:?}"),
    }
}

#[test]
fn a_reply_is_queued_to_the_customer() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    bench.wait(TimeDelta::minutes(1));
    let id = queued(&bench.reply(case, "on our way", None));
    let message = bench.message(id);
    assert_eq!((message.direction, message.body.reveal()), (Direction::Outbound, "on our way"));
    assert_eq!((message.author.as_deref(), message.automatic), (Some(ANNA), false));
    assert_eq!((message.why.rule, message.line_id), (Rule::Reply, bench.lines[0].id));
    assert_eq!(bench.outbox(id), Some(OutboxState::Pending));
    assert_eq!(bench.case(case).updated_at, bench.now);
    assert_eq!(bench.trail(Trail::ReplyQueued)[0].actor, ANNA);
    assert_eq!(bench.thread(case).last().map(|message| message.id), Some(id));
}

#[test]
fn a_reply_under_one_key_is_one_reply() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    let reply = |body: &str, author: &str| {
        let (body, author) = (Text::new(body), author.to_owned());
        Command::Reply(Reply { case, body, author, idempotency_key: Some("k".into()), trace: None })
    };
    let outcomes = bench.batch(&[reply("on our way", ANNA), reply("on our way", ANNA)]);
    let message_id = queued(&outcomes[0]);
    assert_eq!(outcomes[1], Outcome::Replied { message_id, repeated: true });
    assert_eq!(bench.take(reply("on our way", ANNA)), Outcome::Replied { message_id, repeated: true });
    assert_eq!(bench.take(reply("never mind", ANNA)), Outcome::Refused(Refusal::KeyReused));
    assert_ne!(
        queued(&bench.take(reply("on our way", "agent:ben"))),
        message_id,
        "keys are each agent's own"
    );
    let (other, _) = bench.placed(IAN, "hello");
    assert_eq!(bench.reply(other, "on our way", Some("k")), Outcome::Refused(Refusal::KeyReused));
}

#[test]
fn a_repeated_request_has_its_answer_even_after_the_customer_stopped() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    let message_id = queued(&bench.reply(case, "on our way", Some("k")));
    bench.wait(TimeDelta::seconds(1));
    bench.text(HEATHER, "STOP");
    assert_eq!(bench.reply(case, "on our way", Some("k")), Outcome::Replied { message_id, repeated: true });
    assert_eq!(bench.reply(case, "are you there?", None), Outcome::Refused(Refusal::OptedOut));
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let mut bench = Bench::new();
    let nowhere = CaseNumber::new(99_999_999).unwrap();
    assert_eq!(bench.reply(nowhere, "hi", None), Outcome::Refused(Refusal::NoSuchCase));
    let set = Command::SetStatus { case: nowhere, status: CaseStatus::Closed, actor: ANNA.into() };
    assert_eq!(bench.take(set), Outcome::Refused(Refusal::NoSuchCase));
    let (named, _) = bench.placed("ACME Bank", "your code is 1234");
    assert_eq!(bench.reply(named, "hi", None), Outcome::Refused(Refusal::Unreachable));
    assert!(bench.shelf.outbox.is_empty() && bench.trail(Trail::ReplyQueued).is_empty());
}

#[test]
fn a_reply_on_a_line_that_was_removed_is_refused() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    bench.main().active = false;
    assert_eq!(bench.reply(case, "on our way", None), Outcome::Refused(Refusal::LineRemoved));
    bench.set(case, CaseStatus::Closed);
    bench.lines.remove(0);
    assert_eq!(bench.reply(case, "on our way", None), Outcome::Refused(Refusal::LineRemoved));
}

#[test]
fn a_case_is_set_aside_closed_and_reopened() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(case, CaseStatus::Pending);
    bench.wait(TimeDelta::minutes(1));
    bench.set(case, CaseStatus::Closed);
    assert_eq!(bench.case(case).closed_at, Some(bench.now));
    bench.wait(TimeDelta::minutes(1));
    let before = bench.shelf.clone();
    bench.set(case, CaseStatus::Closed);
    assert_eq!(bench.shelf, before, "closing a closed case changes nothing");
    bench.set(case, CaseStatus::Open);
    assert_eq!((bench.case(case).closed_at, bench.case(case).updated_at), (None, bench.now));
    let kinds: Vec<_> = bench.shelf.trail.iter().filter(|e| e.actor == ANNA).map(|e| e.kind).collect();
    assert_eq!(kinds, [Trail::StatusSet, Trail::StatusSet, Trail::CaseReopened]);
}

#[test]
fn a_case_an_agent_reopens_is_current_where_no_other_is_in_work() {
    let mut bench = Bench::new();
    let (first, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(first, CaseStatus::Closed);
    let (second, _) = bench.placed(HEATHER, "now the sink");
    bench.set(first, CaseStatus::Open);
    assert_eq!(bench.placed(HEATHER, "it drips").0, second, "a case in work keeps its customer's texts");
    bench.set(first, CaseStatus::Closed);
    bench.set(second, CaseStatus::Closed);
    bench.set(first, CaseStatus::Pending);
    assert_eq!(bench.placed(HEATHER, "cold again"), (first, Rule::JoinedCurrent));
}

#[test]
fn a_reply_to_a_closed_case_goes_out_and_leaves_it_closed() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(case, CaseStatus::Closed);
    queued(&bench.reply(case, "was that all?", None));
    assert_eq!(bench.case(case).status, CaseStatus::Closed);
}
