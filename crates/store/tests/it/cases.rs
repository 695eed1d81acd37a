//! Which case a text is in.

use crate::on_both;

on_both! {
    a_second_text_joins_the_open_case
    a_text_after_closing_opens_a_new_case
    a_text_that_names_a_closed_case_reopens_it
    somebody_elses_case_number_is_ignored_with_the_reason
    a_reopened_case_is_current_from_then_on
    a_stop_opens_no_case_and_no_reply_leaves
    a_start_of_somebody_who_never_stopped_is_an_ordinary_text
    a_stop_handled_after_the_start_that_followed_it_holds_nothing_back
    a_refusal_that_is_told_late_does_not_undo_a_start
    the_loop_guard_holds_the_fourth_reply_back
    a_case_named_on_another_line_moves_there
}

mod story {
    use std::sync::Arc;

    use casewire_domain::DeliveryStatus;
    use casewire_domain::case::CaseStatus;
    use casewire_domain::command::Command;
    use casewire_domain::decide::{Outcome, Refusal};
    use casewire_domain::message::{Because, Rule};

    use crate::bench::{Bench, HEATHER, IAN, report, sid, text};

    fn rule(outcome: Outcome) -> Rule {
        match outcome {
            Outcome::Placed { rule, .. } => rule,
            other => unreachable!("not placed: {other:?}"),
        }
    }

    pub(super) async fn a_second_text_joins_the_open_case(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        bench.set_status(case, CaseStatus::Pending).await;
        assert_eq!(rule(bench.text(HEATHER, "still cold").await), Rule::JoinedCurrent);
        let view = bench.case(case).await;
        assert_eq!(view.case.status, CaseStatus::Open, "a text sets a pending case open");
        assert_eq!(view.messages.len(), 3);
        assert_ne!(bench.placed(IAN, "hello").await, case);
    }

    pub(super) async fn a_text_after_closing_opens_a_new_case(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        bench.set_status(case, CaseStatus::Closed).await;
        assert!(bench.case(case).await.case.closed_at.is_some());
        assert_eq!(rule(bench.text(HEATHER, "now the sink").await), Rule::OpenedAfterClosing);
    }

    pub(super) async fn a_text_that_names_a_closed_case_reopens_it(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        bench.set_status(case, CaseStatus::Closed).await;
        assert_eq!(
            rule(bench.text(HEATHER, &format!("{case} is broken again")).await),
            Rule::ReopenedByNumber
        );
        let view = bench.case(case).await;
        assert_eq!((view.case.status, view.case.closed_at), (CaseStatus::Open, None));
        let replies: Vec<_> = view.messages.iter().filter(|m| m.message.automatic).collect();
        assert_eq!(replies.len(), 2, "one on opening, one on reopening");
    }

    pub(super) async fn somebody_elses_case_number_is_ignored_with_the_reason(bench: Bench) {
        let hers = bench.placed(HEATHER, "my heater is broken").await;
        let his = bench.placed(IAN, &format!("what about {hers} or 99999999?")).await;
        assert_ne!(his, hers);
        let view = bench.case(his).await;
        let why = &view.messages[0].message.why;
        let passed: Vec<_> = why.passed_over.iter().map(|p| (p.number.to_string(), p.because)).collect();
        assert_eq!(
            passed,
            [(hers.to_string(), Because::NotAParticipant), ("99999999".into(), Because::NoSuchCase)]
        );
    }

    pub(super) async fn a_reopened_case_is_current_from_then_on(bench: Bench) {
        let first = bench.placed(HEATHER, "my heater is broken").await;
        bench.set_status(first, CaseStatus::Closed).await;
        let second = bench.placed(HEATHER, "now the sink").await;
        assert_eq!(bench.placed(HEATHER, &format!("about {first}")).await, first);
        assert_eq!(bench.placed(HEATHER, "it drips").await, first);
        assert_eq!(bench.case(second).await.case.status, CaseStatus::Open);
    }

    pub(super) async fn a_stop_opens_no_case_and_no_reply_leaves(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        assert_eq!(bench.text(HEATHER, "Stop").await, Outcome::Recorded);
        assert_eq!(bench.case(case).await.messages.len(), 2, "the stop is in no case");
        assert_eq!(bench.reply(case, "sorry", None).await, Outcome::Refused(Refusal::OptedOut));
        let next = bench.placed(HEATHER, "but my heater").await;
        assert_eq!(next, case);
        assert_eq!(bench.text(HEATHER, "HELP").await, Outcome::Recorded);
        assert_eq!(bench.text(HEATHER, "START").await, Outcome::Recorded);
        assert!(matches!(bench.reply(case, "welcome back", None).await, Outcome::Replied { .. }));
    }

    pub(super) async fn a_start_of_somebody_who_never_stopped_is_an_ordinary_text(bench: Bench) {
        assert_eq!(rule(bench.text(HEATHER, "Yes").await), Rule::OpenedFirst);
    }

    pub(super) async fn a_stop_handled_after_the_start_that_followed_it_holds_nothing_back(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let now = chrono::Utc::now();
        let ago = |body: &str, seconds: i64| {
            let mut command = text("main", HEATHER, body, &sid());
            if let Command::Text(facts, _) = &mut command {
                Arc::make_mut(facts).received_at = now - chrono::TimeDelta::seconds(seconds);
            }
            command
        };
        assert_eq!(rule(bench.store.handle_one(ago("START", 10)).await.unwrap()), Rule::JoinedCurrent);
        bench.store.handle_one(ago("STOP", 20)).await.unwrap();
        assert!(!bench.case(case).await.opted_out);
        let claimed = bench.claim().await;
        assert!(!claimed[0].suppressed);
        bench.store.handle_one(ago("STOP", 5)).await.unwrap();
        assert!(bench.case(case).await.opted_out);
        bench.store.handle_one(ago("START", 4)).await.unwrap();
        assert!(!bench.case(case).await.opted_out);
        assert!(matches!(bench.reply(case, "hello", None).await, Outcome::Replied { .. }));
    }

    pub(super) async fn a_refusal_that_is_told_late_does_not_undo_a_start(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let claimed = bench.claim().await;
        let sid = sid();
        let mut refused = report(&sid, DeliveryStatus::Failed, Some((claimed[0].message_id, 1)));
        let Command::Status(facts, told) = &mut refused else { unreachable!() };
        told.error_code = Some(21_610);
        Arc::make_mut(facts).received_at -= chrono::TimeDelta::hours(1);
        bench.text(HEATHER, "START").await;
        bench.store.handle_one(refused).await.unwrap();
        assert!(!bench.case(case).await.opted_out);
    }

    pub(super) async fn the_loop_guard_holds_the_fourth_reply_back(bench: Bench) {
        let mut last = None;
        for i in 0..5 {
            let case = bench.placed(HEATHER, &format!("auto-reply {i}")).await;
            bench.set_status(case, CaseStatus::Closed).await;
            last = Some(case);
        }
        let view = bench.case(last.unwrap()).await;
        assert_eq!(view.messages.len(), 1, "no automatic reply to the fifth");
        let withheld = view.trail.iter().find(|entry| entry.kind == "acknowledgement_withheld").unwrap();
        assert_eq!(withheld.why["because"], "loop_guard_ten_minutes");
    }

    pub(super) async fn a_case_named_on_another_line_moves_there(bench: Bench) {
        bench.add_line("second", "+15550003333", 100).await;
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let named = text("second", HEATHER, &format!("about {case}"), &sid());
        assert_eq!(rule(bench.store.handle_one(named).await.unwrap()), Rule::JoinedByNumber);
        assert_eq!(bench.case(case).await.line, "second");
        assert_eq!(bench.placed(HEATHER, "and here?").await, case, "still current on the first line too");
        assert_eq!(bench.case(case).await.line, "main", "replies leave from the line used last");
    }
}
