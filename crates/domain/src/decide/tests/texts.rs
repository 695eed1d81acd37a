//! Which case a text is in.

use chrono::TimeDelta;

use super::bench::{Bench, FOREIGN, HEATHER, IAN, MAIN, SECOND};
use super::shelf::FIRST_NUMBER;
use crate::case::{CaseStatus, Trail};
use crate::decide::Outcome;
use crate::message::{Because, Direction, Rule};
use crate::state::EventOutcome;
use crate::{CaseNumber, DedupeId, Location, Media};

#[test]
fn a_first_text_opens_a_case() {
    let mut bench = Bench::new();
    let (number, rule) = bench.placed(HEATHER, "my heater\nis broken");
    assert_eq!((number, rule), (CaseNumber::new(FIRST_NUMBER).unwrap(), Rule::OpenedFirst));
    let case = bench.case(number);
    assert_eq!((case.status, case.subject.reveal()), (CaseStatus::Open, "my heater is broken"));
    assert_eq!((case.opened_at, case.updated_at, case.closed_at), (bench.now, bench.now, None));
    let [text, answer] = bench.thread(number)[..] else { unreachable!("a text and its answer") };
    assert_eq!((text.direction, text.body.reveal()), (Direction::Inbound, "my heater\nis broken"));
    assert_eq!((answer.direction, answer.cause_id), (Direction::Outbound, Some(text.id)));
    let opened = bench.trail(Trail::CaseOpened);
    assert_eq!((opened.len(), opened[0].actor.as_str()), (1, "customer"));
    assert_eq!(opened[0].why.tree()["rule"], "opened_first");
}

#[test]
fn a_second_text_joins_the_case_and_sets_a_pending_one_open() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(case, CaseStatus::Pending);
    bench.wait(TimeDelta::minutes(1));
    assert_eq!(bench.placed(HEATHER, "still cold"), (case, Rule::JoinedCurrent));
    assert_eq!(bench.case(case).status, CaseStatus::Open);
    assert_eq!(bench.case(case).updated_at, bench.now);
    assert_eq!(bench.case(case).subject.reveal(), "my heater is broken");
    assert_ne!(bench.placed(IAN, "hello").0, case, "somebody else's text is another case");
}

#[test]
fn a_text_after_closing_opens_a_new_case() {
    let mut bench = Bench::new();
    let (first, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(first, CaseStatus::Closed);
    let (second, rule) = bench.placed(HEATHER, "now the sink");
    assert_eq!((second == first, rule), (false, Rule::OpenedAfterClosing));
    assert_eq!(bench.case(first).status, CaseStatus::Closed);
    assert_eq!(bench.placed(HEATHER, "it drips"), (second, Rule::JoinedCurrent));
}

#[test]
fn a_number_reopens_its_case_which_is_current_from_then_on() {
    let mut bench = Bench::new();
    let (first, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(first, CaseStatus::Closed);
    let (second, _) = bench.placed(HEATHER, "now the sink");
    assert_eq!(bench.placed(HEATHER, &format!("about {first}")), (first, Rule::ReopenedByNumber));
    assert_eq!((bench.case(first).status, bench.case(first).closed_at), (CaseStatus::Open, None));
    assert_eq!(bench.placed(HEATHER, "it is cold"), (first, Rule::JoinedCurrent));
    assert_eq!(bench.case(second).status, CaseStatus::Open, "the other one stays as it was");
    assert_eq!(bench.placed(HEATHER, &format!("#{second}: it drips")), (second, Rule::JoinedByNumber));
    assert_eq!(bench.placed(HEATHER, "a lot"), (second, Rule::JoinedCurrent));
}

#[test]
fn a_number_that_leads_nowhere_is_ignored_with_the_reason_on_the_text() {
    let mut bench = Bench::new();
    let (hers, _) = bench.placed(HEATHER, "my heater is broken");
    let (his, rule) = bench.placed(IAN, &format!("what about {hers} or 99999999?"));
    assert_eq!((his == hers, rule), (false, Rule::OpenedFirst));
    let over = &bench.last(Direction::Inbound).why.passed_over;
    let over: Vec<_> = over.iter().map(|it| (it.number.value(), it.because)).collect();
    assert_eq!(over, [(hers.value(), Because::NotAParticipant), (99_999_999, Because::NoSuchCase)]);
    assert_eq!(bench.thread(hers).len(), 2, "her case has not heard of it");
    let told = &bench.trail(Trail::CaseOpened)[1].why.tree()["passed_over"];
    let hers_alone = serde_json::json!([{ "number": hers, "because": "not_a_participant" }]);
    assert_eq!(*told, hers_alone, "a trail holds numbers of cases, not what somebody wrote");
}

#[test]
fn another_workspaces_case_is_no_case_here() {
    let mut bench = Bench::new();
    let there = bench.draft_on(FOREIGN, HEATHER, "my heater is broken");
    let (theirs, _) = bench.place(there);
    let (ours, _) = bench.placed(HEATHER, &format!("about {theirs}"));
    assert_ne!(ours, theirs);
    assert_eq!(bench.last(Direction::Inbound).why.passed_over[0].because, Because::NoSuchCase);
    assert_eq!(bench.shelf.contacts.len(), 2, "nor is one workspace's contact the other's");
}

#[test]
fn the_first_number_that_leads_somewhere_is_followed() {
    let mut bench = Bench::new();
    let (first, _) = bench.placed(HEATHER, "my heater is broken");
    bench.set(first, CaseStatus::Closed);
    let (second, _) = bench.placed(HEATHER, "now the sink");
    let both = format!("11111111 or {first} or {second}");
    assert_eq!(bench.placed(HEATHER, &both), (first, Rule::ReopenedByNumber));
    let over = &bench.last(Direction::Inbound).why.passed_over;
    let over: Vec<_> = over.iter().map(|it| it.because).collect();
    assert_eq!(over, [Because::NoSuchCase, Because::AnotherFollowed]);
}

#[test]
fn a_case_opened_earlier_in_a_batch_can_be_named_later_in_it() {
    let mut bench = Bench::new();
    let named = CaseNumber::new(FIRST_NUMBER).unwrap();
    let first = bench.draft(HEATHER, "my heater is broken").into();
    let second = bench.draft_on(SECOND, HEATHER, &format!("about {named}")).into();
    let outcomes = bench.batch(&[first, second]);
    let placed = |rule, answered| Outcome::Placed { case: named, rule, answered };
    assert_eq!(outcomes, [placed(Rule::OpenedFirst, true), placed(Rule::JoinedByNumber, false)]);
    assert_eq!(bench.case(named).line_id, bench.lines[1].id, "replies leave where the customer wrote last");
}

#[test]
fn the_same_person_on_two_lines_has_two_cases_until_one_is_named() {
    let mut bench = Bench::new();
    let (here, _) = bench.placed(HEATHER, "my heater is broken");
    let there = bench.draft_on(SECOND, HEATHER, "hello");
    let (there, _) = bench.place(there);
    assert_ne!(here, there);
    assert_eq!(bench.shelf.contacts.len(), 1, "one contact all the same");
    let named = bench.draft_on(SECOND, HEATHER, &format!("{here}"));
    assert_eq!(bench.place(named), (here, Rule::JoinedByNumber));
    assert_eq!(bench.placed(HEATHER, "and here?"), (here, Rule::JoinedCurrent));
    assert_eq!(bench.case(here).line_id, bench.lines[0].id);
}

#[test]
fn a_sender_is_one_contact_however_the_number_is_written() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed("(206) 555-0100", "my heater is broken");
    assert_eq!(bench.placed(HEATHER, "hello?").0, case);
    let contact = bench.shelf.contacts.values().next().unwrap();
    assert_eq!(contact.address.reveal(), HEATHER);
    assert_eq!(contact.name.reveal(), HEATHER, "without a place the number is the name");
    assert_eq!(contact.email.reveal(), "12065550100@sms.casewire.invalid");
}

#[test]
fn a_contact_keeps_the_name_of_its_first_text() {
    let mut bench = Bench::new();
    let place =
        |city: &str| Location { city: Some(city.into()), state: Some("WA".into()), ..Location::default() };
    let mut first = bench.draft(HEATHER, "hi");
    first.text.location = place("SEATTLE");
    let mut second = bench.draft(HEATHER, "hi again");
    second.text.location = place("TACOMA");
    bench.batch(&[first.into(), second.into()]);
    let contact = bench.shelf.contacts.values().next().unwrap();
    assert_eq!(contact.name.reveal(), "SMS from Seattle, WA");
}

#[test]
fn names_and_short_codes_are_senders_like_any_other() {
    let mut bench = Bench::new();
    for sender in ["ACME Bank", "12345", "whatsapp:+12065550100", "rcs:acme_agent"] {
        let (case, _) = bench.placed(sender, "hello");
        assert_eq!(bench.placed(sender, "again").0, case, "{sender}");
    }
    assert_eq!(bench.shelf.cases.len(), 4);
    assert!(bench.shelf.contacts.values().any(|contact| contact.address.reveal() == "ACME Bank"));
}

#[test]
fn a_picture_alone_opens_a_case() {
    let mut bench = Bench::new();
    let mut picture = bench.draft(HEATHER, "");
    picture.text.media =
        vec![Media { url: "https://api.example/0".into(), content_type: "image/jpeg".into() }];
    let (case, _) = bench.place(picture);
    assert_eq!(bench.case(case).subject.reveal(), "(picture)");
    assert_eq!(bench.thread(case)[0].media.len(), 1);
    let (case, _) = bench.placed(IAN, " \n\u{7}");
    assert_eq!(bench.case(case).subject.reveal(), "(empty)");
    assert_eq!(bench.thread(case)[0].body.reveal(), " \n\u{7}", "what was written stays as it is");
}

#[test]
fn a_text_that_comes_twice_in_a_batch_is_stored_once() {
    let mut bench = Bench::new();
    let draft = bench.draft(HEATHER, "my heater is broken");
    let mut renamed = bench.draft(HEATHER, "my heater is broken");
    renamed.facts.dedupe_id = DedupeId::new("h:another").unwrap();
    renamed.text.provider_sid.clone_from(&draft.text.provider_sid);
    let (text, renamed): (crate::command::Command, _) = (draft.into(), renamed.into());
    let outcomes = bench.batch(&[text.clone(), text.clone(), renamed]);
    assert!(matches!(outcomes[..], [Outcome::Placed { .. }, Outcome::Duplicate, Outcome::Duplicate]));
    assert_eq!(bench.take(text), Outcome::Duplicate, "nor does it come back later");
    assert_eq!(bench.shelf.messages.len(), 2, "the text and one answer");
    let row = &bench.shelf.events[&DedupeId::new("h:another").unwrap()];
    assert_eq!(row.outcome, EventOutcome::Handled, "the other event is handled too");
}

#[test]
fn a_text_that_was_stored_is_a_duplicate_whoever_it_claims_to_be_from() {
    let mut bench = Bench::new();
    let draft = bench.draft(HEATHER, "hi");
    let mut nameless = bench.draft("", "hi");
    nameless.text.provider_sid.clone_from(&draft.text.provider_sid);
    bench.take(draft);
    assert_eq!(bench.take(nameless), Outcome::Duplicate);
}

#[test]
fn one_sid_of_two_accounts_is_two_texts() {
    let mut bench = Bench::new();
    let ours = bench.draft(HEATHER, "hi");
    let mut theirs = bench.draft_on(FOREIGN, HEATHER, "hi");
    theirs.facts.dedupe_id = DedupeId::new("i:AC2:same").unwrap();
    theirs.text.provider_sid.clone_from(&ours.text.provider_sid);
    let outcomes = bench.batch(&[ours.into(), theirs.into()]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Placed { .. })), "{outcomes:?}");
}

#[test]
fn a_text_nobody_can_place_is_set_aside_and_placed_once_it_can_be() {
    let mut bench = Bench::new();
    let second = bench.lines.remove(1);
    let (draft, again) = (bench.draft_on(SECOND, HEATHER, "hi"), bench.draft_on(SECOND, HEATHER, "hi"));
    let again = super::bench::Draft { facts: draft.facts.clone(), ..again };
    let id = draft.facts.dedupe_id.clone();
    assert!(matches!(bench.take(draft), Outcome::SetAside(_)));
    assert_eq!(bench.shelf.events[&id].outcome, EventOutcome::Dead);
    let received = bench.now;
    bench.wait(TimeDelta::hours(1));
    bench.lines.push(second);
    let (case, _) = bench.place(again);
    assert_eq!(bench.shelf.events[&id].outcome, EventOutcome::Handled);
    assert_eq!(bench.thread(case)[0].received_at, received, "it keeps the time at which it came");
    assert_eq!(bench.shelf.messages.values().filter(|m| m.direction == Direction::Inbound).count(), 1);
}

#[test]
fn when_all_numbers_are_taken_texts_still_join_and_the_others_are_kept() {
    let mut bench = Bench::new();
    bench.shelf.numbers_taken = CaseNumber::MAX - FIRST_NUMBER;
    let (last, _) = bench.placed(HEATHER, "my heater is broken");
    assert_eq!(last.value(), CaseNumber::MAX);
    assert_eq!(bench.placed(HEATHER, "still cold").0, last);
    assert_eq!(bench.text(IAN, "hello"), Outcome::SetAside("no case number was left".into()));
}

#[test]
fn a_text_handled_late_takes_its_place_in_the_thread() {
    let mut bench = Bench::new();
    let mut early = bench.draft(HEATHER, "my heater is broken");
    early.facts.received_at -= TimeDelta::minutes(5);
    let (case, _) = bench.placed(HEATHER, "hello?");
    assert_eq!(bench.place(early), (case, Rule::JoinedCurrent));
    let bodies: Vec<_> = bench.thread(case).iter().map(|m| m.body.reveal()).take(2).collect();
    assert_eq!(bodies, ["my heater is broken", "hello?"]);
    assert_eq!(bench.case(case).opened_at, bench.now - TimeDelta::minutes(5));
    assert_eq!(bench.case(case).updated_at, bench.now);
}

#[test]
fn clocks_that_disagree_do_not_turn_a_thread_round() {
    let mut bench = Bench::new();
    let mut ahead = bench.draft(HEATHER, "my heater is broken");
    ahead.facts.received_at += TimeDelta::milliseconds(40);
    let (case, _) = bench.place(ahead);
    let directions: Vec<_> = bench.thread(case).iter().map(|message| message.direction).collect();
    assert_eq!(directions, [Direction::Inbound, Direction::Outbound]);
    let before = bench.now;
    bench.wait(TimeDelta::milliseconds(-5));
    bench.placed(HEATHER, "hello?");
    bench.reply(case, "on our way", None);
    bench.set(case, CaseStatus::Pending);
    assert_eq!(bench.case(case).updated_at, before, "what lists are ordered by never goes back");
}

#[test]
fn a_text_without_a_usable_sender_is_set_aside() {
    let mut bench = Bench::new();
    for sender in ["", "\u{7}bell", &"x".repeat(200)] {
        assert!(matches!(bench.text(sender, "hi"), Outcome::SetAside(_)));
    }
    assert!(bench.shelf.messages.is_empty() && bench.shelf.contacts.is_empty());
    assert_eq!(bench.shelf.events.len(), 3);
    let on_main = bench.shelf.events.values().all(|row| row.facts.line == MAIN && row.reason.is_some());
    assert!(on_main, "each is kept with its reason");
}
