//! STOP, START and HELP, with and without the provider's own word for them.

use chrono::TimeDelta;

use super::bench::{Bench, HEATHER, IAN, SECOND};
use crate::Keyword;
use crate::case::Trail;
use crate::decide::{Outcome, Refusal};
use crate::message::{Direction, Rule};

/// The rule on the last text that came in.
fn rule(bench: &Bench) -> Rule {
    bench.last(Direction::Inbound).why.rule
}

#[test]
fn a_stop_is_kept_in_no_case_and_nothing_is_sent_any_more() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    for word in ["STOP", "stop", " Unsubscribe\n", "REVOKE"] {
        bench.wait(TimeDelta::seconds(1));
        assert_eq!(bench.text(HEATHER, word), Outcome::Recorded);
        assert_eq!((rule(&bench), bench.last(Direction::Inbound).case_id), (Rule::Stop, None));
    }
    assert_eq!(bench.thread(case).len(), 2);
    assert_eq!(bench.reply(case, "sorry", None), Outcome::Refused(Refusal::OptedOut));
    let other_line = bench.draft_on(SECOND, HEATHER, "hi");
    bench.place(other_line);
    assert_eq!(bench.answers(), 2, "the other line may still answer");
}

#[test]
fn a_word_among_others_is_an_ordinary_text() {
    let mut bench = Bench::new();
    for body in ["please stop", "STOP PLEASE", "stop.", "help me", "00001001 stop"] {
        assert!(matches!(bench.text(HEATHER, body), Outcome::Placed { .. }), "{body}");
    }
}

#[test]
fn somebody_who_stopped_can_still_write_and_is_not_answered() {
    let mut bench = Bench::new();
    assert_eq!(bench.text(HEATHER, "STOP"), Outcome::Recorded);
    assert!(bench.shelf.cases.is_empty());
    let (case, rule) = bench.placed(HEATHER, "my heater is broken");
    assert_eq!((rule, bench.answers()), (Rule::OpenedFirst, 0));
    assert_eq!(bench.trail(Trail::AcknowledgementWithheld)[0].why.tree()["because"], "opted_out");
    assert_eq!(bench.thread(case).len(), 1);
}

#[test]
fn a_start_lifts_a_stop_and_opens_no_case() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    for (stop, start) in [("STOP", "START"), ("quit", "yes"), ("END", "Unstop")] {
        bench.wait(TimeDelta::seconds(1));
        bench.text(HEATHER, stop);
        assert_eq!(bench.reply(case, "hello?", None), Outcome::Refused(Refusal::OptedOut));
        bench.wait(TimeDelta::seconds(1));
        assert_eq!(bench.text(HEATHER, start), Outcome::Recorded);
        assert_eq!((rule(&bench), bench.last(Direction::Inbound).case_id), (Rule::Start, None));
        assert!(matches!(bench.reply(case, "hello", None), Outcome::Replied { .. }));
    }
}

#[test]
fn a_start_of_somebody_who_never_stopped_is_an_ordinary_text() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "shall I call you?");
    assert_eq!(bench.placed(HEATHER, "Yes"), (case, Rule::JoinedCurrent));
    bench.text(IAN, "STOP");
    assert_eq!(bench.placed(HEATHER, "START"), (case, Rule::JoinedCurrent));
}

#[test]
fn a_help_is_only_kept() {
    let mut bench = Bench::new();
    for word in ["HELP", "info"] {
        assert_eq!(bench.text(HEATHER, word), Outcome::Recorded);
        assert_eq!(rule(&bench), Rule::Help);
    }
    assert!(bench.shelf.cases.is_empty() && bench.shelf.outbox.is_empty());
    assert!(bench.shelf.suppressions.is_empty());
}

#[test]
fn the_providers_class_counts_more_than_the_words() {
    let mut bench = Bench::new();
    let mut say = |body: &str, class: Keyword| {
        bench.wait(TimeDelta::seconds(1));
        let mut draft = bench.draft(HEATHER, body);
        draft.text.opt_out = Some(class);
        (bench.take(draft), rule(&bench))
    };
    assert_eq!(say("ARRÊTER", Keyword::Stop), (Outcome::Recorded, Rule::Stop));
    assert_eq!(say("INFO", Keyword::Stop), (Outcome::Recorded, Rule::Stop));
    assert_eq!(say("AIDE", Keyword::Help), (Outcome::Recorded, Rule::Help));
    assert_eq!(say("REPRENDRE", Keyword::Start), (Outcome::Recorded, Rule::Start));
    let (outcome, rule) = say("REPRENDRE", Keyword::Start);
    assert!(matches!(outcome, Outcome::Placed { .. }), "nobody had stopped");
    assert_eq!(rule, Rule::OpenedFirst);
}

/// A keyword as it was received so many seconds ago.
fn received(bench: &mut Bench, body: &str, seconds_ago: i64) -> Outcome {
    let mut draft = bench.draft(HEATHER, body);
    draft.facts.received_at -= TimeDelta::seconds(seconds_ago);
    bench.take(draft)
}

#[test]
fn a_stop_handled_after_the_start_that_followed_it_holds_nothing_back() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    assert!(matches!(received(&mut bench, "START", 10), Outcome::Placed { .. }));
    assert_eq!(received(&mut bench, "STOP", 20), Outcome::Recorded);
    assert!(matches!(bench.reply(case, "hello", None), Outcome::Replied { .. }));
    assert_eq!(received(&mut bench, "STOP", 5), Outcome::Recorded);
    assert_eq!(bench.reply(case, "hello", None), Outcome::Refused(Refusal::OptedOut));
}

#[test]
fn a_start_handled_after_the_stop_that_followed_it_lifts_nothing() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    assert_eq!(received(&mut bench, "STOP", 10), Outcome::Recorded);
    let late = received(&mut bench, "YES", 20);
    let ordinary = Outcome::Placed { case, rule: Rule::JoinedCurrent, answered: false };
    assert_eq!(late, ordinary);
    assert_eq!(bench.reply(case, "hello", None), Outcome::Refused(Refusal::OptedOut));
}

#[test]
fn words_of_one_batch_count_by_their_time_too() {
    let mut bench = Bench::new();
    let (case, _) = bench.placed(HEATHER, "my heater is broken");
    let mut stop = bench.draft(HEATHER, "STOP");
    let mut start = bench.draft(HEATHER, "START");
    stop.facts.received_at -= TimeDelta::seconds(2);
    start.facts.received_at -= TimeDelta::seconds(1);
    bench.batch(&[start.into(), stop.into()]);
    assert!(matches!(bench.reply(case, "hello", None), Outcome::Replied { .. }));
}
