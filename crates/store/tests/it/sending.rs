//! The outbox: one attempt at a time, in order, never twice.

use crate::on_both;

on_both! {
    a_reply_is_claimed_once
    a_later_text_of_a_conversation_waits_for_the_earlier
    a_text_never_processed_is_sent_again
    an_attempt_whose_process_died_is_uncertain_and_not_sent_again
    a_callback_settles_an_uncertain_text
    a_callback_that_beats_the_answer_lands
    a_second_text_for_one_message_is_noticed
    a_status_that_came_too_early_is_applied_later
    a_status_of_another_account_is_not_taken_for_ours
    a_status_whose_path_and_id_contradict_each_other_is_a_dead_letter
    an_outcome_under_an_id_that_another_text_has_is_held
    an_opted_out_contact_is_marked_in_the_claim
    a_line_sends_no_faster_than_its_rate
    a_claim_says_when_a_line_may_go_on
    many_lines_of_a_paused_account_hold_nobody_back
    an_account_that_is_to_slow_down_sends_no_more_than_it_may_over_all_its_lines
}

mod story {
    use std::time::Duration;

    use casewire_domain::command::Command;
    use casewire_domain::decide::Outcome;
    use casewire_domain::outbox::{AttemptOutcome, OutboxState};
    use casewire_domain::{CaseNumber, DeliveryStatus, MessageId};
    use casewire_store::{Claim, Claimed};

    use crate::bench::{Bench, HEATHER, IAN, claim, report_on, sid};

    /// A case whose acknowledgement is claimed.
    async fn sending(bench: &Bench) -> (CaseNumber, Claimed) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let mut claimed = bench.claim().await;
        assert_eq!(claimed.len(), 1);
        (case, claimed.remove(0))
    }

    async fn attempted(
        bench: &Bench,
        message_id: MessageId,
        attempt: u32,
        outcome: AttemptOutcome,
    ) -> Outcome {
        bench
            .store
            .handle_one(Command::Attempted { message_id, attempt, outcome, trace: None })
            .await
            .unwrap()
    }

    fn accepted(sid: &str) -> AttemptOutcome {
        AttemptOutcome::Accepted { provider_sid: sid.into(), status: DeliveryStatus::Queued }
    }

    async fn status(bench: &Bench, case: CaseNumber, id: MessageId) -> (DeliveryStatus, Option<OutboxState>) {
        let view = bench.case(case).await;
        let found = view.messages.iter().find(|m| m.message.id == id).unwrap();
        (found.message.progress.status(), found.outbox)
    }

    pub(super) async fn a_reply_is_claimed_once(bench: Bench) {
        let (case, claimed) = sending(&bench).await;
        assert_eq!((claimed.attempt, claimed.to.reveal(), claimed.line.as_str()), (1, HEATHER, "main"));
        assert!(bench.claim().await.is_empty());
        attempted(&bench, claimed.message_id, 1, accepted(&sid())).await;
        assert_eq!(status(&bench, case, claimed.message_id).await, (DeliveryStatus::Queued, None));
        assert!(bench.claim().await.is_empty());
    }

    pub(super) async fn a_later_text_of_a_conversation_waits_for_the_earlier(bench: Bench) {
        let (case, first) = sending(&bench).await;
        bench.reply(case, "on our way", None).await;
        bench.placed(IAN, "hello").await;
        let others = bench.claim().await;
        assert_eq!(
            others.iter().map(|c| c.to.reveal()).collect::<Vec<_>>(),
            [IAN],
            "another conversation goes on"
        );
        attempted(&bench, first.message_id, 1, accepted(&sid())).await;
        let next = bench.claim().await;
        assert_eq!(next.iter().map(|c| c.body.reveal()).collect::<Vec<_>>(), ["on our way"]);
    }

    pub(super) async fn a_text_never_processed_is_sent_again(bench: Bench) {
        let (_, first) = sending(&bench).await;
        attempted(&bench, first.message_id, 1, AttemptOutcome::NotProcessed { retry_after: Duration::ZERO })
            .await;
        let again = casewire_testkit::eventually_some("the retry is due", Duration::from_secs(5), || async {
            bench.claim().await.into_iter().next()
        })
        .await
        .unwrap();
        assert_eq!((again.message_id, again.attempt), (first.message_id, 2));
    }

    pub(super) async fn an_attempt_whose_process_died_is_uncertain_and_not_sent_again(bench: Bench) {
        bench.placed(HEATHER, "my heater is broken").await;
        let short = Claim { lease: Duration::from_millis(1), ..claim() };
        let claimed = bench.store.claim(short).await.unwrap().messages;
        let lost =
            casewire_testkit::eventually_some("the lease runs out", Duration::from_secs(5), || async {
                bench.store.lost_attempts(10).await.unwrap().into_iter().next()
            })
            .await
            .unwrap();
        assert_eq!(lost, (claimed[0].message_id, 1));
        attempted(&bench, lost.0, lost.1, AttemptOutcome::Uncertain).await;
        assert!(bench.store.lost_attempts(10).await.unwrap().is_empty());
        assert!(bench.claim().await.is_empty());
        assert_eq!(bench.store.outbox_depth().await.unwrap().uncertain.messages, 1);
    }

    pub(super) async fn a_callback_settles_an_uncertain_text(bench: Bench) {
        let (case, claimed) = sending(&bench).await;
        attempted(&bench, claimed.message_id, 1, AttemptOutcome::Uncertain).await;
        let uncertain = (DeliveryStatus::Queued, Some(OutboxState::Uncertain));
        assert_eq!(status(&bench, case, claimed.message_id).await, uncertain);
        bench.report(&sid(), DeliveryStatus::Delivered, Some((claimed.message_id, 1))).await;
        assert_eq!(status(&bench, case, claimed.message_id).await, (DeliveryStatus::Delivered, None));
    }

    pub(super) async fn a_callback_that_beats_the_answer_lands(bench: Bench) {
        let (case, claimed) = sending(&bench).await;
        let sid = sid();
        bench.report(&sid, DeliveryStatus::Delivered, Some((claimed.message_id, 1))).await;
        let late = attempted(&bench, claimed.message_id, 1, accepted(&sid)).await;
        assert_eq!(late, Outcome::Attempted { duplicate_send: false });
        assert_eq!(status(&bench, case, claimed.message_id).await, (DeliveryStatus::Delivered, None));
    }

    pub(super) async fn a_second_text_for_one_message_is_noticed(bench: Bench) {
        let (case, claimed) = sending(&bench).await;
        attempted(&bench, claimed.message_id, 1, accepted(&sid())).await;
        let other = bench.report(&sid(), DeliveryStatus::Delivered, Some((claimed.message_id, 1))).await;
        assert!(matches!(other, Outcome::Reported { duplicate_send: true, settled: false, .. }), "{other:?}");
        assert_eq!(status(&bench, case, claimed.message_id).await.0, DeliveryStatus::Queued);
        assert!(bench.case(case).await.trail.iter().any(|entry| entry.kind == "duplicate_send_detected"));
    }

    pub(super) async fn a_status_that_came_too_early_is_applied_later(bench: Bench) {
        let (case, claimed) = sending(&bench).await;
        let sid = sid();
        assert_eq!(bench.report(&sid, DeliveryStatus::Delivered, None).await, Outcome::Waiting);
        assert!(bench.store.ripe_statuses(10, Duration::from_secs(60)).await.unwrap().is_empty());
        attempted(&bench, claimed.message_id, 1, accepted(&sid)).await;
        assert_eq!(bench.store.ripe_statuses(10, Duration::from_secs(60)).await.unwrap(), [b"raw".to_vec()]);
        let again = bench.report(&sid, DeliveryStatus::Delivered, None).await;
        assert!(
            matches!(again, Outcome::Reported { duplicate_send: false, settled: false, .. }),
            "{again:?}"
        );
        assert_eq!(status(&bench, case, claimed.message_id).await.0, DeliveryStatus::Delivered);
        assert!(bench.store.ripe_statuses(10, Duration::from_secs(60)).await.unwrap().is_empty());
    }

    pub(super) async fn a_status_of_another_account_is_not_taken_for_ours(bench: Bench) {
        let (case, claimed) = sending(&bench).await;
        bench.add_foreign_line("theirs", "+15550005555").await;
        let sid = sid();
        attempted(&bench, claimed.message_id, 1, accepted(&sid)).await;
        let theirs = report_on("theirs", &sid, DeliveryStatus::Delivered, None);
        assert_eq!(bench.store.handle_one(theirs).await.unwrap(), Outcome::Waiting);
        assert!(
            bench.store.ripe_statuses(10, Duration::from_secs(60)).await.unwrap().is_empty(),
            "ours is not what it waits for"
        );
        let forged = report_on("theirs", &sid, DeliveryStatus::Failed, Some((claimed.message_id, 1)));
        assert!(matches!(bench.store.handle_one(forged).await.unwrap(), Outcome::SetAside(_)));
        assert_eq!(status(&bench, case, claimed.message_id).await.0, DeliveryStatus::Queued);
    }

    /// A case with its acknowledgement accepted under an id, and a reply on its way.
    async fn accepted_and_sending(bench: &Bench) -> (String, Claimed) {
        let (case, first) = sending(bench).await;
        let sid = sid();
        attempted(bench, first.message_id, 1, accepted(&sid)).await;
        bench.reply(case, "on our way", None).await;
        (sid, bench.claim().await.remove(0))
    }

    pub(super) async fn a_status_whose_path_and_id_contradict_each_other_is_a_dead_letter(bench: Bench) {
        let (sid, second) = accepted_and_sending(&bench).await;
        let outcome = bench.report(&sid, DeliveryStatus::Delivered, Some((second.message_id, 1))).await;
        assert!(matches!(outcome, Outcome::SetAside(_)), "{outcome:?}");
        assert_eq!(bench.store.dead_letters(10).await.unwrap().len(), 1);
    }

    pub(super) async fn an_outcome_under_an_id_that_another_text_has_is_held(bench: Bench) {
        let (sid, second) = accepted_and_sending(&bench).await;
        attempted(&bench, second.message_id, 1, accepted(&sid)).await;
        assert_eq!(bench.store.outbox_depth().await.unwrap().uncertain.messages, 1);
    }

    pub(super) async fn an_opted_out_contact_is_marked_in_the_claim(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        bench.text(HEATHER, "STOP").await;
        let claimed = bench.claim().await;
        assert!(claimed[0].suppressed);
        attempted(&bench, claimed[0].message_id, 1, AttemptOutcome::Suppressed).await;
        assert_eq!(status(&bench, case, claimed[0].message_id).await, (DeliveryStatus::Canceled, None));
    }

    pub(super) async fn a_line_sends_no_faster_than_its_rate(bench: Bench) {
        bench.add_line("slow", "+15550004444", 10).await;
        for i in 0..20 {
            let text = crate::bench::text("slow", &format!("+1206555{i:04}"), "hi", &sid());
            bench.store.handle_one(text).await.unwrap();
        }
        let first = bench.claim().await;
        assert!(first.len() <= 3, "{} at once", first.len());
        let start = std::time::Instant::now();
        let mut sent = first.len();
        while sent < 12 {
            sent += bench.claim().await.len();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(start.elapsed() > Duration::from_millis(700), "{sent} in {:?}", start.elapsed());
    }

    pub(super) async fn a_claim_says_when_a_line_may_go_on(bench: Bench) {
        assert_eq!(bench.store.claim(claim()).await.unwrap().again_in, None);
        bench.add_line("slow", "+15550004444", 5).await;
        for i in 0..5 {
            let text = crate::bench::text("slow", &format!("+1206555{i:04}"), "hi", &sid());
            bench.store.handle_one(text).await.unwrap();
        }
        let first = bench.store.claim(claim()).await.unwrap();
        assert_eq!(first.messages.len(), 1, "a line that never sent has one turn");
        let wait = first.again_in.expect("there is more");
        let soon = Duration::from_millis(50)..=Duration::from_millis(200);
        assert!(soon.contains(&wait), "{wait:?}");
        let account = bench.store.accounts().await.unwrap()[0].id;
        let paused = bench.store.claim(Claim { paused: vec![account], ..claim() }).await.unwrap();
        assert_eq!(paused.again_in, None, "its account holds it back, and not its rate");
        let again = bench.store.claim(claim()).await.unwrap();
        let turn_came = !again.messages.is_empty();
        assert!(turn_came || soon.contains(&again.again_in.expect("there is more")), "{again:?}");
    }

    pub(super) async fn many_lines_of_a_paused_account_hold_nobody_back(bench: Bench) {
        for i in 0..70 {
            let line = format!("other{i}");
            bench.add_foreign_line(&line, &format!("+1555100{i:04}")).await;
            bench.store.handle_one(crate::bench::text(&line, HEATHER, "hi", &sid())).await.unwrap();
        }
        let accounts = bench.store.accounts().await.unwrap();
        let other = accounts.iter().find(|account| account.lines > 1).unwrap().id;
        bench.placed(IAN, "hello").await;
        let paused = Claim { paused: vec![other], ..claim() };
        let claimed = bench.store.claim(paused).await.unwrap().messages;
        assert_eq!(claimed.iter().map(|c| c.to.reveal()).collect::<Vec<_>>(), [IAN]);
    }

    pub(super) async fn an_account_that_is_to_slow_down_sends_no_more_than_it_may_over_all_its_lines(
        bench: Bench,
    ) {
        for i in 0..5 {
            let line = format!("other{i}");
            bench.add_foreign_line(&line, &format!("+1555100{i:04}")).await;
            bench.store.handle_one(crate::bench::text(&line, HEATHER, "hi", &sid())).await.unwrap();
        }
        let accounts = bench.store.accounts().await.unwrap();
        let other = accounts.iter().find(|account| account.lines > 1).unwrap().id;
        bench.placed(IAN, "hello").await;
        let slowed = Claim { slowed: vec![(other, 3)], ..claim() };
        let claimed = bench.store.claim(slowed).await.unwrap().messages;
        let of_other = claimed.iter().filter(|claimed| claimed.account.id == other).count();
        assert_eq!((of_other, claimed.len()), (3, 4));
    }
}
