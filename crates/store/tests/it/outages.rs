//! A database that is in trouble, and what is said of it: nothing is held against a text that is not its fault.

use crate::on_both;

on_both! {
    a_database_that_does_not_answer_is_unavailable_in_time_and_nothing_is_doubled
    a_table_that_is_gone_is_held_against_nobody
    a_row_the_database_refuses_is_told_apart
    what_is_in_the_way_for_good_is_a_refusal
}

mod story {
    use std::time::{Duration, Instant};

    use casewire_domain::decide::Outcome;
    use casewire_store::Error;

    use crate::bench::{Bench, HEATHER, IAN, sid, text};

    pub(super) async fn a_database_that_does_not_answer_is_unavailable_in_time_and_nothing_is_doubled(
        bench: Bench,
    ) {
        let store = bench.reopened(|config| config.transaction_timeout = Duration::from_millis(200)).await;
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let mut intruder = bench.intruder().await;
        intruder.run("begin immediate", "begin; lock table conversation").await;
        let again = text("main", HEATHER, "hello?", &sid());
        let begun = Instant::now();
        let refused = store.handle_one(again.clone()).await.unwrap_err();
        assert!(refused.is_retryable() && !refused.blames_input(), "{refused}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        intruder.run("rollback", "rollback").await;
        let placed = casewire_testkit::eventually_some("it is back", Duration::from_secs(10), || async {
            store.handle_one(again.clone()).await.ok()
        });
        // The first try may have gone through after nobody waited for it any more.
        assert!(matches!(placed.await.unwrap(), Outcome::Placed { .. } | Outcome::Duplicate));
        let view = bench.case(case).await;
        assert_eq!(view.messages.iter().filter(|m| m.message.body.reveal() == "hello?").count(), 1);
    }

    pub(super) async fn a_table_that_is_gone_is_held_against_nobody(bench: Bench) {
        let mut intruder = bench.intruder().await;
        let away = "alter table suppression rename to elsewhere";
        intruder.run(away, away).await;
        let refused = bench.store.handle_one(text("main", HEATHER, "hello", &sid())).await.unwrap_err();
        assert!(matches!(refused, Error::Schema(_)), "{refused}");
        assert!(!refused.blames_input());
        let back = "alter table elsewhere rename to suppression";
        intruder.run(back, back).await;
        bench.placed(HEATHER, "hello").await;
    }

    pub(super) async fn a_row_the_database_refuses_is_told_apart(bench: Bench) {
        let mut intruder = bench.intruder().await;
        intruder
            .run(
                "create trigger picky before insert on message when new.body = 'poison' \
                 begin select raise(abort, 'no'); end",
                "alter table message add check (body <> 'poison')",
            )
            .await;
        let batch = vec![text("main", HEATHER, "poison", &sid()), text("main", IAN, "hello", &sid())];
        let refused = bench.store.handle(batch).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(_)) && refused.blames_input(), "{refused}");
        bench.placed(IAN, "hello").await;
    }

    pub(super) async fn what_is_in_the_way_for_good_is_a_refusal(bench: Bench) {
        let mut intruder = bench.intruder().await;
        let unique = "create unique index picky on message (body)";
        intruder.run(unique, unique).await;
        bench.placed(HEATHER, "hello").await;
        let refused = bench.store.handle_one(text("main", HEATHER, "hello", &sid())).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(_)) && refused.blames_input(), "{refused}");
    }
}
