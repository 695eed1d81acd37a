//! How cases stand, what is seen of the connections, and which trace a text belongs to.

use crate::on_both;

on_both! {
    cases_are_counted_and_the_text_that_waits_longest_is_found
    a_reply_and_a_closing_answer_what_is_there_and_a_later_text_waits_again
    a_database_from_before_is_told_what_waits_in_it
    only_the_first_reply_of_a_person_is_the_first
    a_text_keeps_the_trace_of_what_led_to_it_and_then_that_of_its_sending
    statements_are_told_by_their_verb
}

mod story {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use casewire_domain::case::CaseStatus;
    use casewire_domain::command::Command;
    use casewire_domain::decide::Outcome;
    use casewire_domain::outbox::AttemptOutcome;
    use casewire_domain::{CaseNumber, DeliveryStatus, MessageId, TraceParent};
    use casewire_store::Store;
    use casewire_testkit::eventually;

    use crate::bench::{Bench, HEATHER, IAN, TRACE, sid};

    async fn replied(bench: &Bench, case: CaseNumber) -> MessageId {
        match bench.reply(case, "on our way", None).await {
            Outcome::Replied { message_id, .. } => message_id,
            other => unreachable!("{other:?}"),
        }
    }

    pub(super) async fn cases_are_counted_and_the_text_that_waits_longest_is_found(bench: Bench) {
        assert_eq!(bench.store.standing().await.unwrap(), Default::default());
        let first = bench.placed(HEATHER, "my heater is broken").await;
        let second = bench.placed(IAN, "so is mine").await;
        let standing = bench.store.standing().await.unwrap();
        assert_eq!((standing.open, standing.pending, standing.opted_out), (2, 0, 0));
        let waits = standing.oldest_unanswered.unwrap();
        assert_eq!(waits, bench.case(first).await.messages[0].message.received_at);
        replied(&bench, first).await;
        let waits = bench.store.standing().await.unwrap().oldest_unanswered.unwrap();
        assert_eq!(
            waits,
            bench.case(second).await.messages[0].message.received_at,
            "an acknowledgement is no answer"
        );
        bench.set_status(second, CaseStatus::Pending).await;
        bench.text(IAN, "STOP").await;
        let standing = bench.store.standing().await.unwrap();
        assert_eq!((standing.open, standing.pending, standing.opted_out), (1, 1, 1));
        assert_eq!(standing.oldest_unanswered, None);
    }

    pub(super) async fn a_reply_and_a_closing_answer_what_is_there_and_a_later_text_waits_again(
        bench: Bench,
    ) {
        let waits = async || bench.store.standing().await.unwrap().oldest_unanswered;
        let case = bench.placed(HEATHER, "my heater is broken").await;
        bench.placed(HEATHER, "it is cold").await;
        let received = async |text: usize| {
            let texts = bench.case(case).await.messages.into_iter().map(|view| view.message);
            texts.filter(|text| !text.automatic).nth(text).map(|text| text.received_at)
        };
        assert_eq!(waits().await, received(0).await, "the first waits longest");
        replied(&bench, case).await;
        assert_eq!(waits().await, None, "both were read before the reply");
        bench.placed(HEATHER, "are you coming?").await;
        assert_eq!(waits().await, received(3).await, "it came after the reply");
        bench.set_status(case, CaseStatus::Closed).await;
        bench.set_status(case, CaseStatus::Open).await;
        assert_eq!(waits().await, None, "who closes a case leaves nothing in it to be answered");
    }

    pub(super) async fn a_database_from_before_is_told_what_waits_in_it(bench: Bench) {
        for from in [HEATHER, IAN] {
            let case = bench.placed(from, "my heater is broken").await;
            replied(&bench, case).await;
        }
        bench.placed(IAN, "it is cold").await;
        let before = bench.store.standing().await.unwrap();
        assert!(before.oldest_unanswered.is_some());
        bench.intruder().await.run(BEFORE, BEFORE).await;
        assert_eq!(bench.store.migrate().await.unwrap(), 1);
        assert_eq!(bench.store.standing().await.unwrap(), before);
        bench.placed(HEATHER, "thank you").await;
        assert_eq!(bench.store.standing().await.unwrap(), before, "what came later waits for less long");
    }

    /// As the schema was before cases knew since when they wait.
    const BEFORE: &str = r#"alter table "case" drop column unanswered_since;
        delete from seaql_migrations where version = 'm20261129_000008_unanswered'"#;

    pub(super) async fn only_the_first_reply_of_a_person_is_the_first(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let (first, second) = (replied(&bench, case).await, replied(&bench, case).await);
        assert_eq!(bench.store.first_reply_after(second).await.unwrap(), None);
        let other = bench.placed(IAN, "so is mine").await;
        let alone = replied(&bench, other).await;
        assert!(bench.store.first_reply_after(alone).await.unwrap().unwrap() < Duration::from_secs(60));
        assert_eq!(bench.store.first_reply_after(first).await.unwrap(), None, "there are two by now");
    }

    pub(super) async fn a_text_keeps_the_trace_of_what_led_to_it_and_then_that_of_its_sending(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let acknowledgement = bench.claim().await.remove(0);
        assert_eq!((acknowledgement.trace, acknowledgement.automatic), (None, true));
        let sent = Command::Attempted {
            message_id: acknowledgement.message_id,
            attempt: 1,
            outcome: AttemptOutcome::Accepted { provider_sid: sid(), status: DeliveryStatus::Queued },
            trace: None,
        };
        bench.store.handle_one(sent).await.unwrap();
        let reply = replied(&bench, case).await;
        let claimed = bench.claim().await;
        assert_eq!(claimed[0].message_id, reply);
        assert_eq!((claimed[0].trace.clone(), claimed[0].automatic), (TraceParent::parse(TRACE), false));
        let sending = TraceParent::parse(TRACE.replace("b7ad", "c8be"));
        let provider_sid = sid();
        let outcome =
            AttemptOutcome::Accepted { provider_sid: provider_sid.clone(), status: DeliveryStatus::Queued };
        let sent = Command::Attempted { message_id: reply, attempt: 1, outcome, trace: sending.clone() };
        bench.store.handle_one(sent).await.unwrap();
        match bench.report(&provider_sid, DeliveryStatus::Delivered, None).await {
            Outcome::Reported { trace, delivered_after, .. } => {
                assert_eq!((trace, delivered_after.is_some()), (sending, true));
            }
            other => unreachable!("{other:?}"),
        }
    }

    pub(super) async fn statements_are_told_by_their_verb(bench: Bench) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep = told.clone();
        let store =
            Store::open_watched(&bench.config, move |verb, _| keep.lock().unwrap().push(verb)).await.unwrap();
        store.probe().await.unwrap();
        store.standing().await.unwrap();
        assert!(told.lock().unwrap().contains(&"SELECT"), "{told:?}");
        // A connection that was used comes back in a task of its own.
        let back = async || (store.pool().used, store.pool().idle > 0) == (0, true);
        eventually("the connections are back", Duration::from_secs(10), back).await.unwrap();
        assert!(store.pool().most >= 16);
    }
}
