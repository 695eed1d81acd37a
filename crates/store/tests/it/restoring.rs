//! A database that was brought back from a backup, and the copy that was taken of it.

use crate::on_both;

on_both! {
    what_was_on_its_way_is_settled_and_never_sent_again_by_itself
    a_text_from_before_is_placed_and_not_answered
    what_may_have_been_told_since_is_passed_over
    a_copy_is_taken_of_sqlite_while_others_write
}

mod story {
    use std::time::Duration;

    use casewire_domain::command::Command;
    use casewire_domain::decide::{Outcome, Sighting};
    use casewire_domain::outbox::AttemptOutcome;
    use casewire_domain::settle::{Answer, Listed, Look};
    use casewire_domain::{DeliveryStatus, MessageId};
    use casewire_store::{Config, Error, LookFor, Store, check_file};
    use chrono::{TimeDelta, Utc};

    use crate::bench::{Bench, HEATHER, IAN, sid, text};

    /// Uncertain texts that would be looked for now.
    async fn due(bench: &Bench) -> Vec<casewire_store::Unsettled> {
        let look =
            LookFor { most: 10, after: vec![Duration::ZERO], lease: Duration::ZERO, paused: Vec::new() };
        bench.store.due_uncertain(look).await.unwrap()
    }

    pub(super) async fn what_was_on_its_way_is_settled_and_never_sent_again_by_itself(bench: Bench) {
        let sent = bench.placed(HEATHER, "my heater is broken").await;
        let claimed = bench.claim().await.remove(0);
        bench.placed(IAN, "so is mine").await;
        let begun = Utc::now();
        assert_eq!(bench.store.mark_restored(begun).await.unwrap(), 2);
        assert!(bench.claim().await.is_empty(), "neither what waited nor what was being sent");
        assert!(bench.store.lost_attempts(10).await.unwrap().is_empty());
        let depth = bench.store.outbox_depth().await.unwrap();
        assert_eq!((depth.uncertain.messages, depth.held.messages), (2, 0));

        // The life that is forgotten sent it an hour after the backup: it is found all the same.
        let unsettled = due(&bench).await;
        let waited = unsettled.iter().find(|text| text.message_id != claimed.message_id).unwrap();
        assert!(waited.since <= begun, "it is looked for from when it was queued");
        let view = bench.store.message(waited.message_id).await.unwrap().unwrap();
        let listed = Listed {
            sid: sid(),
            created_at: Some(Utc::now()),
            as_ours: true,
            body: view.message.body,
            status: Some(DeliveryStatus::Delivered),
            error_code: None,
        };
        let look = |id: MessageId, attempt, texts| {
            let answer = Answer::Listed { texts, complete: true };
            Command::Looked(Look { message_id: id, attempt, last: true, resends_most: 1, answer })
        };
        let found = bench.store.handle_one(look(waited.message_id, waited.attempt, vec![listed])).await;
        assert_eq!(found.unwrap(), Outcome::Looked(Sighting::Found { duplicate_send: false }));
        let missing = bench.store.handle_one(look(claimed.message_id, claimed.attempt, Vec::new())).await;
        assert_eq!(missing.unwrap(), Outcome::Looked(Sighting::Held), "a person decides");
        let trail = bench.case(sent).await.trail;
        assert!(trail.iter().any(|entry| entry.why["because"] == "restored"), "{trail:?}");

        // A process of before that still had an answer would be believed.
        let outcome = AttemptOutcome::Accepted { provider_sid: sid(), status: DeliveryStatus::Queued };
        let late = Command::Attempted {
            message_id: claimed.message_id,
            attempt: claimed.attempt,
            outcome,
            trace: None,
        };
        bench.store.handle_one(late).await.unwrap();
        assert_eq!(bench.store.message(claimed.message_id).await.unwrap().unwrap().outbox, None);
    }

    pub(super) async fn a_text_from_before_is_placed_and_not_answered(bench: Bench) {
        let before = text("main", HEATHER, "my heater is broken", &sid());
        bench.store.mark_restored(Utc::now()).await.unwrap();
        let Outcome::Placed { case, .. } = bench.store.handle_one(before).await.unwrap() else {
            unreachable!("it is not placed")
        };
        assert!(bench.claim().await.is_empty(), "it may have been answered in the life that is forgotten");
        let trail = bench.case(case).await.trail;
        assert!(trail.iter().any(|entry| entry.why["because"] == "restored"), "{trail:?}");
        bench.placed(IAN, "so is mine").await;
        assert_eq!(bench.claim().await.len(), 1, "what comes now is answered");
    }

    pub(super) async fn what_may_have_been_told_since_is_passed_over(bench: Bench) {
        let before = bench.placed(HEATHER, "my heater is broken").await;
        let version = bench.store.directory_version().await.unwrap();
        let taken_at = Utc::now();
        bench.store.mark_restored(taken_at).await.unwrap();
        // Another process: numbers that one had in hand are not of the copy.
        let store = bench.reopened(|_| {}).await;
        let placed = store.handle_one(text("main", IAN, "so is mine", &sid())).await.unwrap();
        let Outcome::Placed { case, .. } = placed else { unreachable!("it is not placed") };
        assert!(case.value() > before.value() + 1_000, "{before} {case}");
        assert!(store.directory_version().await.unwrap() > version + 1_000, "the board takes it");
        let (_, since) = store.open_reconciliation().await.unwrap().unwrap();
        assert!(since < taken_at && since > taken_at - TimeDelta::hours(1));
    }

    pub(super) async fn a_copy_is_taken_of_sqlite_while_others_write(bench: Bench) {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("it's a copy.db");
        let number = bench.placed(HEATHER, "my heater is broken").await;
        if bench.config.url.starts_with("postgres") {
            let refused = bench.store.copy_to(&file).await.unwrap_err();
            assert!(matches!(&refused, Error::Invalid(said) if said.contains("pg_dump")), "{refused}");
            return;
        }
        let writing = async {
            for n in 0..50 {
                bench.placed(IAN, &format!("text {n}")).await;
            }
        };
        let (copied, ()) = tokio::join!(bench.store.copy_to(&file), writing);
        copied.unwrap();
        check_file(&file).await.unwrap();
        let copy = Store::open(&Config::sqlite(&file)).await.unwrap();
        copy.check_schema().await.unwrap();
        assert!(copy.case(number).await.unwrap().is_some());
        copy.close().await;
        assert!(bench.store.copy_to(&file).await.is_err(), "what is there is not overwritten");

        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 8_192].fill(0xee);
        std::fs::write(&file, bytes).unwrap();
        let damaged = check_file(&file).await.unwrap_err().to_string();
        assert!(damaged.contains("it's a copy.db"), "{damaged}");
    }
}
