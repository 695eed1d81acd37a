//! Uncertain texts: what the provider's list and what people make of them.

use std::time::Duration;

use chrono::TimeDelta;

use super::bench::{ANNA, Bench, HEATHER, accepted, reported};
use crate::case::Trail;
use crate::command::Command;
use crate::decide::{Outcome, Refusal, Sighting};
use crate::line::WhenUncertain;
use crate::outbox::{AttemptOutcome, OutboxState};
use crate::settle::{Answer, Listed, Look, Verdict};
use crate::{CaseNumber, DeliveryStatus, MessageId, Text};

const FOUND: Outcome = Outcome::Looked(Sighting::Found { duplicate_send: false });
const HELD: Outcome = Outcome::Looked(Sighting::Held);

impl Bench {
    /// A text of which nobody knows whether the provider took it.
    fn uncertain(&mut self) -> (CaseNumber, MessageId) {
        let (case, id) = self.sending();
        self.attempted(id, 1, AttemptOutcome::Uncertain);
        self.wait(TimeDelta::seconds(20));
        (case, id)
    }

    /// A text on the list with the words of ours, created now.
    fn listed(&self, sid: &str, id: MessageId) -> Listed {
        Listed {
            sid: sid.into(),
            created_at: Some(self.now),
            as_ours: true,
            body: self.message(id).body.clone(),
            status: Some(DeliveryStatus::Sent),
            error_code: None,
        }
    }

    fn looked(&mut self, id: MessageId, last: bool, texts: Vec<Listed>) -> Outcome {
        self.answered(id, last, Answer::Listed { texts, complete: true })
    }

    fn answered(&mut self, id: MessageId, last: bool, answer: Answer) -> Outcome {
        let attempt = self.shelf.outbox.get(&id).map_or(1, |row| row.attempt);
        self.take(Command::Looked(Look { message_id: id, attempt, last, resends_most: 1, answer }))
    }

    fn decides(&mut self, case: CaseNumber, message_id: MessageId, verdict: Verdict) -> Outcome {
        self.take(Command::Resolve { case, message_id, verdict, actor: ANNA.into() })
    }

    /// After the last look nothing was found.
    fn held(&mut self) -> (CaseNumber, MessageId) {
        let (case, id) = self.uncertain();
        self.wait(TimeDelta::minutes(5));
        assert_eq!(self.looked(id, true, Vec::new()), HELD);
        (case, id)
    }
}

#[test]
fn a_text_on_the_list_is_bound_and_leaves_the_outbox() {
    let mut bench = Bench::new();
    let (_, id) = bench.uncertain();
    let sid = bench.sid();
    let texts = vec![bench.listed(&sid, id)];
    assert_eq!(bench.looked(id, false, texts.clone()), FOUND);
    assert_eq!((bench.outbox(id), &bench.message(id).provider_sid), (None, &Some(sid)));
    assert_eq!(bench.message(id).progress.status(), DeliveryStatus::Sent);
    let entry = bench.trail(Trail::SendAccepted)[0];
    assert_eq!(
        (&entry.why.tree()["rule"], &entry.change.tree()["attempt"]),
        (&"provider_list".into(), &1.into())
    );
    assert!(!format!("{entry:?}").contains("Thanks"), "no word of the text");
    assert_eq!(bench.looked(id, false, texts), Outcome::Looked(Sighting::Over));
}

#[test]
fn what_differs_in_anything_is_not_bound() {
    let mut bench = Bench::new();
    let (case, first) = bench.sending();
    bench.attempted(first, 1, accepted("SM1"));
    bench.reply(case, "on our way", None);
    let [(id, 1)] = bench.claim()[..] else { unreachable!("one reply") };
    bench.attempted(id, 1, AttemptOutcome::Uncertain);
    let one = bench.listed("SM2", id);
    let others = [
        Listed { body: Text::new("On our way"), ..one.clone() },
        Listed { as_ours: false, ..one.clone() },
        Listed { created_at: None, ..one.clone() },
        Listed { created_at: one.created_at.map(|at| at - TimeDelta::seconds(6)), ..one.clone() },
        Listed { sid: "SM1".into(), ..one.clone() },
    ];
    for other in others {
        assert_eq!(
            bench.looked(id, false, vec![other.clone()]),
            Outcome::Looked(Sighting::Later),
            "{other:?}"
        );
    }
    assert_eq!(bench.looked(id, false, vec![one]), FOUND);
}

#[test]
fn what_is_not_found_is_looked_for_again_and_at_last_held() {
    let mut bench = Bench::new();
    let (_, id) = bench.uncertain();
    assert_eq!(bench.looked(id, false, Vec::new()), Outcome::Looked(Sighting::Later));
    assert_eq!(bench.shelf.outbox[&id].settling.looks, 1);
    bench.wait(TimeDelta::minutes(5));
    assert_eq!(bench.looked(id, true, Vec::new()), HELD);
    assert_eq!(bench.looked(id, true, Vec::new()), HELD);
    assert_eq!(bench.trail(Trail::SendUnsettled).len(), 1, "told once");
    assert_eq!((bench.outbox(id), bench.claim()), (Some(OutboxState::Uncertain), Vec::new()));
}

#[test]
fn a_callback_settles_what_is_held() {
    let mut bench = Bench::new();
    let (case, id) = bench.held();
    let report = bench.report("SM1", DeliveryStatus::Delivered, Some((id, 1)));
    assert_eq!(reported(&bench.take(report)), Some((false, true)));
    assert_eq!(bench.decides(case, id, Verdict::SendAgain), Outcome::Refused(Refusal::NotHeld));
    assert!(bench.claim().is_empty());
}

#[test]
fn a_list_that_cannot_be_read_counts_as_no_look_and_holds_at_the_end() {
    let mut bench = Bench::new();
    bench.main().when_uncertain = WhenUncertain::Resend;
    let (_, id) = bench.uncertain();
    let unreadable = || Answer::Unreadable { retry_after: Duration::from_secs(15) };
    assert_eq!(bench.answered(id, false, unreadable()), Outcome::Looked(Sighting::Later));
    assert_eq!(bench.shelf.outbox[&id].settling.looks, 0);
    bench.wait(TimeDelta::minutes(5));
    assert_eq!(bench.answered(id, true, unreadable()), HELD);
    let settling = bench.shelf.outbox[&id].settling;
    assert_eq!(settling.look_at, Some(bench.now + TimeDelta::seconds(15)), "it is read on");
    let texts = vec![Listed { created_at: settling.attempted_at, ..bench.listed("SM1", id) }];
    assert_eq!(bench.looked(id, true, texts), FOUND);
}

#[test]
fn a_line_that_wants_it_sends_again_once() {
    let mut bench = Bench::new();
    bench.main().when_uncertain = WhenUncertain::Resend;
    let (_, id) = bench.uncertain();
    bench.wait(TimeDelta::minutes(5));
    assert_eq!(bench.looked(id, true, Vec::new()), Outcome::Looked(Sighting::SentAgain));
    assert_eq!(bench.claim(), [(id, 2)], "the attempt's number tells a double");
    bench.attempted(id, 2, AttemptOutcome::Uncertain);
    bench.wait(TimeDelta::minutes(6));
    assert_eq!(bench.looked(id, true, Vec::new()), HELD, "a second silence is no accident");
}

#[test]
fn nothing_is_sent_again_where_anything_speaks_against_it() {
    let stranger = |bench: &Bench, id| vec![Listed { body: Text::new("else"), ..bench.listed("SM9", id) }];
    for case in 0..4 {
        let mut bench = Bench::new();
        bench.main().when_uncertain = WhenUncertain::Resend;
        let (_, id) = bench.uncertain();
        let texts = stranger(&bench, id);
        // The lane's minute has passed in all cases but the last.
        bench.wait(TimeDelta::minutes(if case == 3 { 0 } else { 5 }));
        let outcome = match case {
            0 => bench.looked(id, true, texts),
            1 => bench.answered(id, true, Answer::Listed { texts: Vec::new(), complete: false }),
            2 => {
                bench.main().active = false;
                bench.looked(id, true, Vec::new())
            }
            _ => bench.looked(id, true, Vec::new()),
        };
        assert_eq!((outcome, bench.claim()), (HELD, Vec::new()), "{case}");
    }
}

#[test]
fn a_wrong_clock_leaves_a_text_that_is_listed_to_a_person_and_never_sends_it_twice() {
    for skew in [-600, -6, 601, 3_600] {
        let mut bench = Bench::new();
        bench.main().when_uncertain = WhenUncertain::Resend;
        let (_, id) = bench.uncertain();
        let begun = bench.shelf.outbox[&id].settling.attempted_at.unwrap();
        let created_at = Some(begun + TimeDelta::seconds(skew));
        bench.wait(TimeDelta::minutes(5));
        let texts = vec![Listed { created_at, ..bench.listed("SM1", id) }];
        assert_eq!((bench.looked(id, true, texts), bench.claim()), (HELD, Vec::new()), "{skew}");
        assert_eq!(bench.trail(Trail::SendUnsettled)[0].why.tree()["because"], "ambiguous", "{skew}");
    }
}

#[test]
fn a_person_is_told_that_a_text_is_missing_only_where_nothing_on_the_whole_list_can_be_it() {
    let other = |bench: &Bench, id| Listed { body: Text::new("else"), ..bench.listed("SM9", id) };
    for (listed, complete, because) in [
        (false, true, "not_found"),
        (true, true, "ambiguous"),
        (true, false, "ambiguous"),
        (false, false, "not_read_whole"),
    ] {
        let mut bench = Bench::new();
        let (_, id) = bench.uncertain();
        bench.wait(TimeDelta::minutes(5));
        let texts = listed.then(|| other(&bench, id)).into_iter().collect();
        assert_eq!(bench.answered(id, true, Answer::Listed { texts, complete }), HELD);
        assert_eq!(bench.trail(Trail::SendUnsettled)[0].why.tree()["because"], because);
    }
}

#[test]
fn after_a_second_attempt_both_ids_on_the_list_are_a_double() {
    let mut bench = Bench::new();
    bench.main().when_uncertain = WhenUncertain::Resend;
    let (_, id) = bench.uncertain();
    let first = bench.listed("SM1", id);
    bench.wait(TimeDelta::minutes(5));
    assert_eq!(bench.looked(id, true, Vec::new()), Outcome::Looked(Sighting::SentAgain));
    assert_eq!(bench.claim(), [(id, 2)]);
    bench.attempted(id, 2, AttemptOutcome::Uncertain);
    let second = bench.listed("SM2", id);
    let doubled = Outcome::Looked(Sighting::Found { duplicate_send: true });
    assert_eq!(bench.looked(id, false, vec![second, first]), doubled);
    assert_eq!(bench.message(id).provider_sid.as_deref(), Some("SM1"));
    assert_eq!(bench.trail(Trail::DuplicateSendDetected)[0].change.tree()["provider_sid"], "SM2");
}

#[test]
fn a_callback_for_the_first_attempt_stops_the_second_or_shows_the_double() {
    for claimed in [false, true] {
        let mut bench = Bench::new();
        let (case, id) = bench.held();
        assert_eq!(bench.decides(case, id, Verdict::SendAgain), Outcome::Resolved);
        if claimed {
            assert_eq!(bench.claim(), [(id, 2)]);
        }
        let report = bench.report("SM1", DeliveryStatus::Sent, Some((id, 1)));
        bench.take(report);
        assert_eq!((bench.outbox(id), bench.claim()), (None, Vec::new()));
        if claimed {
            let outcome = bench.attempted(id, 2, accepted("SM2"));
            assert_eq!(outcome, Outcome::Attempted { duplicate_send: true });
        }
    }
}

#[test]
fn a_person_decides_what_is_held_and_nothing_else() {
    let mut bench = Bench::new();
    let (case, id) = bench.sending();
    let refused = |refusal| Outcome::Refused(refusal);
    assert_eq!(bench.decides(case, id, Verdict::Arrived), refused(Refusal::NotHeld));
    bench.attempted(id, 1, AttemptOutcome::Uncertain);
    assert_eq!(bench.decides(case, id, Verdict::Arrived), refused(Refusal::StillSettling));
    bench.wait(TimeDelta::minutes(5));
    bench.looked(id, true, Vec::new());
    let nobody = MessageId(uuid::Uuid::max());
    assert_eq!(bench.decides(case, nobody, Verdict::Arrived), refused(Refusal::NoSuchMessage));
    let (other, _) = bench.placed(super::bench::IAN, "hello");
    assert_eq!(bench.decides(other, id, Verdict::Arrived), refused(Refusal::NoSuchMessage));
    assert_eq!(bench.decides(case, id, Verdict::Arrived), Outcome::Resolved);
    assert_eq!((bench.outbox(id), bench.message(id).progress.status()), (None, DeliveryStatus::Sent));
    assert_eq!(bench.decides(case, id, Verdict::DoNotSend), refused(Refusal::NotHeld));
    let entry = bench.trail(Trail::SendResolved)[0];
    assert_eq!((entry.actor.as_str(), &entry.change.tree()["verdict"]), (ANNA, &"arrived".into()));
}

#[test]
fn nobody_has_a_text_sent_again_to_who_opted_out() {
    let mut bench = Bench::new();
    let (case, id) = bench.held();
    bench.text(HEATHER, "STOP");
    assert_eq!(bench.decides(case, id, Verdict::SendAgain), Outcome::Refused(Refusal::OptedOut));
    assert_eq!(bench.decides(case, id, Verdict::DoNotSend), Outcome::Resolved);
    assert_eq!(bench.message(id).progress.status(), DeliveryStatus::Canceled);
}

#[test]
fn a_text_given_up_by_a_person_may_still_own_an_id_of_its_words() {
    let mut bench = Bench::new();
    let (case, first) = bench.sending();
    bench.attempted(first, 1, accepted("SM1"));
    let mut ids = Vec::new();
    for _ in 0..2 {
        bench.reply(case, "on our way", None);
        let [(id, 1)] = bench.claim()[..] else { unreachable!("one reply") };
        bench.attempted(id, 1, AttemptOutcome::Uncertain);
        bench.wait(TimeDelta::minutes(6));
        assert_eq!(bench.looked(id, true, Vec::new()), HELD);
        ids.push(id);
    }
    assert_eq!(bench.decides(case, ids[0], Verdict::Arrived), Outcome::Resolved);
    let begun = bench.shelf.outbox[&ids[1]].settling.attempted_at;
    let texts = vec![Listed { created_at: begun, ..bench.listed("SM2", ids[1]) }];
    assert_eq!(bench.looked(ids[1], true, texts), HELD, "it may be the first one's, which came late");
}
