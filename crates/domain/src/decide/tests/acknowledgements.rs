//! What is answered without a person, and what holds an answer back.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::select;

use super::bench::{Bench, Draft, HEATHER, IAN, MAIN, SECOND};
use crate::case::{CaseStatus, Trail};
use crate::command::Command;
use crate::decide::Outcome;
use crate::message::{Direction, Rule};
use crate::outbox::OutboxState;
use crate::template::Template;

/// Why the last answer was held back.
fn withheld(bench: &Bench) -> String {
    let entries = bench.trail(Trail::AcknowledgementWithheld);
    let because = entries.last().map(|entry| entry.why.tree()["because"].clone());
    because.as_ref().and_then(|because| because.as_str()).unwrap_or("nothing was").to_owned()
}

/// Sends a text that is answered, and closes its case so that the next one is too. Whether it was.
fn answered(bench: &mut Bench, draft: Draft) -> bool {
    let before = bench.answers();
    let (case, _) = bench.place(draft);
    bench.set(case, CaseStatus::Closed);
    bench.answers() > before
}

fn asks(bench: &mut Bench, from: &str) -> bool {
    let draft = bench.draft(from, "hi");
    answered(bench, draft)
}

#[test]
fn opening_and_reopening_are_answered_and_joining_is_not() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    let opening = bench.last(Direction::Outbound);
    let words = format!("Thanks, we have your message. Your case number is {case}.");
    assert_eq!((opening.body.reveal(), opening.why.rule), (words.as_str(), Rule::Acknowledgement));
    assert_eq!(bench.outbox(opening.id), Some(OutboxState::Pending));
    assert_eq!(bench.trail(Trail::AcknowledgementQueued).len(), 1);
    bench.placed(HEATHER, "still cold");
    bench.placed(HEATHER, &format!("{case} is still cold"));
    assert_eq!((bench.answers(), withheld(&bench).as_str()), (1, "nothing was"));
    bench.set(case, CaseStatus::Closed);
    bench.placed(HEATHER, &format!("{case} again"));
    let reopening = bench.last(Direction::Outbound).body.reveal().to_owned();
    assert_eq!(reopening, format!("Thanks, we have reopened case {case}."));
}

#[test]
fn each_template_can_be_set_and_emptied() {
    let mut bench = Bench::new();
    let templates = &mut bench.main().acknowledgements;
    templates.on_open = None;
    templates.on_reopen = None;
    templates.on_update = Template::parse("{{ contact_name }} on {{ line }}: {{ case_number }}").unwrap();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    assert_eq!((bench.answers(), withheld(&bench).as_str()), (0, "nothing was"));
    bench.placed(HEATHER, "still cold");
    assert_eq!(bench.last(Direction::Outbound).body.reveal(), format!("{HEATHER} on main: {case}"));
    bench.set(case, CaseStatus::Closed);
    bench.placed(HEATHER, &format!("{case}"));
    assert_eq!(bench.answers(), 1);
}

#[test]
fn a_template_that_makes_nothing_or_too_much_costs_the_answer_and_not_the_case() {
    let mut bench = Bench::new();
    let nothing = "{% if line == 'other' %}hello{% endif %} ";
    let too_much = format!("{{% if case_number != '12345678' %}}{}{{% endif %}}", "x".repeat(1_601));
    let unknown = "{% if case_number != '12345678' %}{{ surprise }}{% endif %}";
    for source in [nothing, &too_much, unknown] {
        bench.main().acknowledgements.on_open = Template::parse(source).unwrap();
        let (case, _) = bench.placed(HEATHER, "my heater is broken");
        assert_eq!((bench.answers(), withheld(&bench).as_str()), (0, "template_failed"), "{source}");
        bench.set(case, CaseStatus::Closed);
    }
}

#[test]
fn the_guard_allows_three_in_ten_minutes_and_lifts_to_the_moment() {
    let mut bench = Bench::new();
    for minute in 0..3 {
        assert!(asks(&mut bench, HEATHER), "minute {minute}");
        bench.wait(TimeDelta::minutes(1));
    }
    assert!(!asks(&mut bench, HEATHER));
    assert_eq!(withheld(&bench), "loop_guard_ten_minutes");
    assert!(asks(&mut bench, IAN), "others are answered");
    // The first answer was at minute 0; a microsecond before minute 10 it still counts.
    bench.wait(TimeDelta::minutes(7) - TimeDelta::microseconds(1));
    assert!(!asks(&mut bench, HEATHER));
    bench.wait(TimeDelta::microseconds(1));
    assert!(asks(&mut bench, HEATHER));
    assert!(!asks(&mut bench, HEATHER), "three of minutes 1, 2 and 10");
}

#[test]
fn the_guard_allows_ten_a_day_and_lifts_to_the_moment() {
    let mut bench = Bench::new();
    let first = bench.now;
    for hour in 0..10 {
        assert!(asks(&mut bench, HEATHER), "hour {hour}");
        bench.wait(TimeDelta::hours(1));
    }
    assert!(!asks(&mut bench, HEATHER));
    assert_eq!(withheld(&bench), "loop_guard_day");
    bench.now = first + TimeDelta::days(1) - TimeDelta::microseconds(1);
    assert!(!asks(&mut bench, HEATHER));
    bench.wait(TimeDelta::microseconds(1));
    assert!(asks(&mut bench, HEATHER));
    assert!(!asks(&mut bench, HEATHER));
}

#[test]
fn the_guard_counts_within_one_batch() {
    let mut bench = Bench::new();
    bench.main().acknowledgements.on_update = Template::parse("got it").unwrap();
    let texts: Vec<Command> = (0..8).map(|i| bench.draft(HEATHER, &format!("text {i}")).into()).collect();
    bench.batch(&texts);
    assert_eq!(bench.answers(), 3);
    assert_eq!(bench.trail(Trail::AcknowledgementWithheld).len(), 5);
}

#[test]
fn the_guard_counts_every_kind_of_answer_for_each_line_and_contact() {
    let mut bench = Bench::new();
    bench.main().acknowledgements.on_update = Template::parse("got it").unwrap();
    let (case, _) = bench.placed(HEATHER, "an opening");
    bench.placed(HEATHER, "an update");
    bench.set(case, CaseStatus::Closed);
    bench.placed(HEATHER, &format!("a reopening of {case}"));
    assert_eq!(bench.answers(), 3);
    bench.placed(HEATHER, "another update");
    assert_eq!((bench.answers(), withheld(&bench).as_str()), (3, "loop_guard_ten_minutes"));
    let other_line = bench.draft_on(SECOND, HEATHER, "hi");
    assert!(answered(&mut bench, other_line), "the other line has its own count");
}

#[test]
fn an_answer_that_was_refused_counts_all_the_same() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        assert!(asks(&mut bench, HEATHER));
        for (id, attempt) in bench.claim() {
            bench.attempted(id, attempt, crate::outbox::AttemptOutcome::Rejected { code: Some(30_007) });
        }
    }
    assert!(!asks(&mut bench, HEATHER));
}

#[test]
fn a_line_may_answer_more_or_nothing_at_all() {
    let mut bench = Bench::new();
    bench.main().guard.per_ten_minutes = 4;
    assert_eq!((0..6).filter(|_| asks(&mut bench, HEATHER)).count(), 4);
    bench.main().guard.per_day = 0;
    assert!(!asks(&mut bench, IAN));
}

#[test]
fn two_lines_of_ours_never_answer_each_other() {
    let mut bench = Bench::new();
    let (second, main) = (bench.lines[1].address.clone(), bench.lines[0].address.clone());
    let there = bench.draft(second.reveal(), "Thanks, we have your message.");
    assert!(!answered(&mut bench, there));
    assert_eq!(withheld(&bench), "own_line");
    let back = bench.draft_on(SECOND, main.reveal(), "Thanks, we have your message.");
    assert!(!answered(&mut bench, back));
    assert!(bench.shelf.outbox.is_empty());
}

#[test]
fn a_line_that_was_removed_places_its_last_texts_and_answers_none() {
    let mut bench = Bench::new();
    bench.main().active = false;
    assert!(!asks(&mut bench, HEATHER));
    assert_eq!((withheld(&bench).as_str(), bench.shelf.cases.len()), ("line_removed", 1));
    let gone = bench.lines[0].address.clone();
    let somebody_elses_now = bench.draft_on(SECOND, gone.reveal(), "hello");
    assert!(answered(&mut bench, somebody_elses_now));
}

#[test]
fn a_sender_by_name_is_not_answered() {
    let mut bench = Bench::new();
    for name in ["ACME Bank", "rcs:acme_agent"] {
        assert!(!asks(&mut bench, name));
        assert_eq!(withheld(&bench), "unreachable");
    }
    assert!(asks(&mut bench, "12345"), "a short code can be texted");
    assert!(asks(&mut bench, "whatsapp:+12065550100"));
}

#[test]
fn an_answer_goes_out_on_the_line_that_was_texted() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(case, CaseStatus::Closed);
    let named = bench.draft_on(SECOND, HEATHER, &format!("{case}"));
    assert_eq!(bench.take(named), Outcome::Placed { case, rule: Rule::ReopenedByNumber, answered: true });
    let answer = bench.last(Direction::Outbound);
    assert_eq!(answer.line_id, bench.lines[1].id);
    assert_eq!(bench.shelf.outbox[&answer.id].line_id, bench.lines[1].id);
    assert_eq!(answer.case_id, Some(bench.case(case).id));
}

/// A customer's move: who, where, what, whether the case is closed afterwards, and how long until the next.
fn moves() -> impl Strategy<Value = Vec<(&'static str, &'static str, &'static str, bool, i64)>> {
    let said = select(vec!["hi", "00001001", "00001002", "00001003", "STOP", "START"]);
    let wait = prop_oneof![6 => 0..300i64, 1 => 0..14_400i64];
    let (who, line) = (select(vec![HEATHER, HEATHER, IAN]), select(vec![MAIN, MAIN, MAIN, SECOND]));
    let one = (who, line, said, any::<bool>(), wait);
    proptest::collection::vec(one, 1..80)
}

proptest! {
    #[test]
    fn whatever_a_customer_does_the_guard_holds_in_every_window(
        moves in moves(),
        updates in any::<[bool; 2]>(),
        most in 1..5usize,
    ) {
        let mut bench = Bench::new();
        for (line, _) in bench.lines.iter_mut().zip(updates).filter(|(_, answered)| *answered) {
            line.acknowledgements.on_update = Template::parse("got it").unwrap();
        }
        for batch in moves.chunks(most) {
            let texts = batch.iter().map(|(from, line, body, ..)| bench.draft_on(line, from, body).into());
            let texts: Vec<Command> = texts.collect();
            for (outcome, (.., close, seconds)) in bench.batch(&texts).into_iter().zip(batch) {
                if let Outcome::Placed { case, .. } = outcome
                    && *close
                {
                    bench.set(case, CaseStatus::Closed);
                }
                bench.wait(TimeDelta::seconds(*seconds));
            }
        }
        let mut answered = BTreeMap::<_, Vec<_>>::new();
        for message in bench.shelf.messages.values().filter(|message| message.automatic) {
            answered.entry((message.line_id, message.contact_id)).or_default().push(message.processed_at);
        }
        for times in answered.values() {
            prop_assert!(times.windows(4).all(|four| four[3] - four[0] >= TimeDelta::minutes(10)));
            prop_assert!(times.windows(11).all(|eleven| eleven[10] - eleven[0] >= TimeDelta::days(1)));
        }
    }
}
