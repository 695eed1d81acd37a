//! Uncertain texts: who looks for them when, and what a look changes.

use crate::on_both;

on_both! {
    a_text_is_looked_for_when_its_time_has_come_by_one_at_a_time
    a_paused_account_is_not_asked
    a_text_that_is_found_is_bound_and_one_that_is_not_is_held
    an_id_that_another_text_got_meanwhile_is_not_bound_twice
    an_attempt_of_a_version_that_did_not_keep_its_time_is_looked_for_too
}

mod story {
    use std::time::Duration;

    use casewire_domain::command::Command;
    use casewire_domain::decide::{Outcome, Sighting};
    use casewire_domain::outbox::AttemptOutcome;
    use casewire_domain::settle::{Answer, Listed, Look};
    use casewire_domain::{CaseNumber, DeliveryStatus, Text};
    use casewire_store::{Claimed, LookFor, Unsettled};
    use chrono::Utc;

    use crate::bench::{Bench, HEATHER, IAN, sid};

    fn look_for(after: Duration) -> LookFor {
        let never = Duration::from_secs(3_600);
        LookFor { most: 100, after: vec![after, never, never], lease: never, paused: Vec::new() }
    }

    impl Bench {
        async fn uncertain(&self, from: &str) -> (CaseNumber, Claimed) {
            let case = self.placed(from, "my heater is broken").await;
            let claimed = self.claim().await.remove(0);
            self.unknown(&claimed).await;
            (case, claimed)
        }

        async fn unknown(&self, claimed: &Claimed) {
            let outcome = AttemptOutcome::Uncertain;
            let (message_id, attempt) = (claimed.message_id, claimed.attempt);
            self.store
                .handle_one(Command::Attempted { message_id, attempt, outcome, trace: None })
                .await
                .unwrap();
        }

        async fn due(&self, look: LookFor) -> Vec<Unsettled> {
            self.store.due_uncertain(look).await.unwrap()
        }

        async fn looked(&self, claimed: &Claimed, last: bool, sids: &[&str]) -> Outcome {
            let listed = |sid: &&str| Listed {
                sid: (*sid).to_owned(),
                created_at: Some(Utc::now()),
                as_ours: true,
                body: claimed.body.clone(),
                status: Some(DeliveryStatus::Sent),
                error_code: None,
            };
            let answer = Answer::Listed { texts: sids.iter().map(listed).collect(), complete: true };
            let (message_id, attempt) = (claimed.message_id, claimed.attempt);
            let look = Look { message_id, attempt, last, resends_most: 1, answer };
            self.store.handle_one(Command::Looked(look)).await.unwrap()
        }
    }

    pub(super) async fn a_text_is_looked_for_when_its_time_has_come_by_one_at_a_time(bench: Bench) {
        let (_, claimed) = bench.uncertain(HEATHER).await;
        assert!(bench.due(look_for(Duration::from_secs(20))).await.is_empty(), "too early");
        let due = bench.due(look_for(Duration::ZERO)).await;
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].message_id, due[0].attempt, due[0].looks), (claimed.message_id, 1, 0));
        assert!(due[0].age < Duration::from_secs(20));
        assert_eq!((&due[0].from, &due[0].to), (&claimed.from, &claimed.to));
        assert!(bench.due(look_for(Duration::ZERO)).await.is_empty(), "somebody looks already");
        assert_eq!(bench.looked(&claimed, false, &[]).await, Outcome::Looked(Sighting::Later));
        assert!(bench.due(look_for(Duration::ZERO)).await.is_empty(), "the second look is later");
        let second = LookFor { after: vec![Duration::ZERO; 3], ..look_for(Duration::ZERO) };
        assert_eq!(bench.due(second).await[0].looks, 1);
    }

    pub(super) async fn a_paused_account_is_not_asked(bench: Bench) {
        let (_, claimed) = bench.uncertain(HEATHER).await;
        let paused = LookFor { paused: vec![claimed.account.id], ..look_for(Duration::ZERO) };
        assert!(bench.due(paused.clone()).await.is_empty());
        // By the time of its last look somebody is to be asked, whatever the account's state; after that it waits.
        let last = LookFor { after: vec![Duration::ZERO; 3], lease: Duration::ZERO, ..paused };
        let due = bench.due(last.clone()).await;
        assert_eq!(due.iter().map(|text| text.message_id).collect::<Vec<_>>(), [claimed.message_id]);
        let answer = Answer::Unreadable { retry_after: Duration::ZERO };
        let look = Look { message_id: claimed.message_id, attempt: 1, last: true, resends_most: 1, answer };
        let outcome = bench.store.handle_one(Command::Looked(look)).await.unwrap();
        assert_eq!(outcome, Outcome::Looked(Sighting::Held));
        assert!(bench.due(last).await.is_empty());
        assert_eq!(bench.due(look_for(Duration::ZERO)).await.len(), 1);
    }

    pub(super) async fn a_text_that_is_found_is_bound_and_one_that_is_not_is_held(bench: Bench) {
        let (case, found) = bench.uncertain(HEATHER).await;
        let bound = sid();
        let outcome = bench.looked(&found, false, &[&bound]).await;
        assert_eq!(outcome, Outcome::Looked(Sighting::Found { duplicate_send: false }));
        let text = bench.store.message(found.message_id).await.unwrap().unwrap();
        assert_eq!((text.message.provider_sid, text.outbox), (Some(bound), None));
        assert!(bench.case(case).await.trail.iter().any(|entry| entry.why["rule"] == "provider_list"));
        let (_, missing) = bench.uncertain(IAN).await;
        assert_eq!(bench.looked(&missing, true, &[]).await, Outcome::Looked(Sighting::Held));
        assert!(bench.store.message(missing.message_id).await.unwrap().unwrap().held);
        let depth = bench.store.outbox_depth().await.unwrap();
        assert_eq!((depth.uncertain.messages, depth.held.messages), (1, 1));
        let all = LookFor { after: vec![Duration::ZERO], ..look_for(Duration::ZERO) };
        assert!(bench.due(all).await.is_empty(), "what is held is not looked for any more");
    }

    pub(super) async fn an_id_that_another_text_got_meanwhile_is_not_bound_twice(bench: Bench) {
        let (case, first) = bench.uncertain(HEATHER).await;
        let taken = sid();
        bench.looked(&first, false, &[&taken]).await;
        let same = Text::new(first.body.reveal());
        bench.reply(case, same.reveal(), None).await;
        let second = bench.claim().await.remove(0);
        bench.unknown(&second).await;
        assert_eq!(bench.looked(&second, false, &[&taken]).await, Outcome::Looked(Sighting::Later));
        let own = sid();
        let outcome = bench.looked(&second, false, &[&own, &taken]).await;
        assert_eq!(outcome, Outcome::Looked(Sighting::Found { duplicate_send: false }));
        let text = bench.store.message(second.message_id).await.unwrap().unwrap();
        assert_eq!(text.message.provider_sid, Some(own));
    }

    pub(super) async fn an_attempt_of_a_version_that_did_not_keep_its_time_is_looked_for_too(bench: Bench) {
        let (_, claimed) = bench.uncertain(HEATHER).await;
        let forget = "update outbox set attempted_at = null, due_at = queued_at";
        bench.intruder().await.run(forget, forget).await;
        let due = bench.due(look_for(Duration::ZERO)).await;
        assert_eq!(due[0].message_id, claimed.message_id);
        assert!(due[0].since <= Utc::now());
        let outcome = bench.looked(&claimed, false, &[&sid()]).await;
        assert_eq!(outcome, Outcome::Looked(Sighting::Found { duplicate_send: false }));
    }
}
