//! What the sweepers remember between two looks.

use crate::on_both;

on_both! {
    events_that_nobody_handled_are_named
    one_holder_at_a_time_has_a_job_and_a_dead_one_loses_it
    a_mark_belongs_to_one_life_of_a_stream
    a_comparison_is_asked_for_told_of_and_kept
    a_line_is_never_listed_backwards_and_may_be_removed
    a_line_that_comes_back_goes_on_where_it_was_unless_it_was_long_away
    texts_of_another_account_are_not_ours
}

mod story {
    use std::time::Duration;

    use casewire_domain::{DedupeId, DeliveryStatus};
    use casewire_store::{AskedBy, LineReport, Reconciliation};
    use casewire_testkit::eventually;
    use chrono::{DurationRound, TimeDelta, Utc};
    use uuid::Uuid;

    use crate::bench::{ACCOUNT, Bench, HEATHER, sid, text};

    fn id(text: &str) -> DedupeId {
        DedupeId::new(text).unwrap()
    }

    pub(super) async fn events_that_nobody_handled_are_named(bench: Bench) {
        let known = text("main", HEATHER, "hello", &sid());
        let dead = text("nowhere", HEATHER, "hello", &sid());
        let ids = [&known, &dead].map(|command| command.event().unwrap().dedupe_id.clone());
        bench.store.handle(vec![known, dead]).await.unwrap();
        let asked = [id("i:1"), ids[0].clone(), id("i:2"), ids[1].clone()];
        assert_eq!(bench.store.missing_events(&asked).await.unwrap(), [id("i:1"), id("i:2")]);
        assert!(bench.store.missing_events(&[]).await.unwrap().is_empty());
    }

    pub(super) async fn one_holder_at_a_time_has_a_job_and_a_dead_one_loses_it(bench: Bench) {
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let long = Duration::from_secs(60);
        let take = async |holder, length| bench.store.take_lease("sweep", holder, length).await.unwrap();
        assert_eq!(bench.store.lease_until("sweep").await.unwrap(), None);
        assert!(take(one, long).await);
        let until = bench.store.lease_until("sweep").await.unwrap().unwrap();
        assert!((until - Utc::now() - TimeDelta::seconds(60)).num_seconds().abs() < 30);
        assert!(take(one, long).await, "it may be kept for longer");
        assert!(!take(two, long).await);
        assert!(bench.store.take_lease("another", two, long).await.unwrap());
        bench.store.end_lease("sweep", two).await.unwrap();
        assert!(!take(two, long).await, "nobody ends what is another's");
        bench.store.end_lease("sweep", one).await.unwrap();
        assert!(take(two, Duration::from_millis(200)).await);
        assert!(!take(one, long).await);
        let over = async || take(one, long).await;
        eventually("the dead holder's time is over", Duration::from_secs(10), over).await.unwrap();
        // Who comes at once: one of them has it.
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = bench.store.clone();
            takers.spawn(async move { store.take_lease("rush", Uuid::now_v7(), long).await.unwrap() });
        }
        assert_eq!(takers.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    }

    pub(super) async fn a_mark_belongs_to_one_life_of_a_stream(bench: Bench) {
        let mark = async |life| bench.store.stream_mark("IN_0", life).await.unwrap();
        assert_eq!(mark("first").await, None);
        bench.store.put_stream_mark("IN_0", "first", 10, 9).await.unwrap();
        bench.store.put_stream_mark("IN_1", "first", 7, 7).await.unwrap();
        assert!(!bench.store.put_stream_mark("IN_0", "first", 20, 19).await.unwrap());
        let known = mark("first").await.unwrap();
        assert_eq!((known.verified, known.settled), (20, 19));
        assert!((Utc::now() - known.swept_at).num_seconds().abs() < 60);
        assert!(bench.store.open_losses().await.unwrap().is_empty());
        assert!(bench.store.put_stream_mark("IN_0", "second", 1, 0).await.unwrap(), "it had another life");
        assert!(!bench.store.put_stream_mark("IN_0", "second", 1, 0).await.unwrap());
        let losses = bench.store.open_losses().await.unwrap();
        assert_eq!(losses.len(), 1, "whoever saw it may die: it stays written down");
        assert_eq!(bench.store.open_reconciliation().await.unwrap(), None, "nobody asked");
        bench.store.finish_request(losses[0], "done".into()).await.unwrap();
        assert!(bench.store.open_losses().await.unwrap().is_empty());
        assert_eq!(mark("first").await, None, "a life that is over leaves nothing");
        assert_eq!(mark("second").await.unwrap().verified, 1);
        assert!(bench.store.stream_mark("IN_1", "first").await.unwrap().is_some());
    }

    pub(super) async fn a_comparison_is_asked_for_told_of_and_kept(bench: Bench) {
        let now = Utc::now().duration_trunc(TimeDelta::microseconds(1)).unwrap();
        assert_eq!(bench.store.open_reconciliation().await.unwrap(), None);
        assert_eq!(bench.store.last_reconciliation().await.unwrap(), None);
        let request = bench.store.request_reconciliation(now).await.unwrap();
        assert_eq!(bench.store.open_reconciliation().await.unwrap(), Some((request, now)));
        assert_eq!(bench.store.open_replays(9).await.unwrap().len(), 0, "it is no replay");
        let mut report = Reconciliation {
            id: request,
            asked_by: AskedBy::Person,
            since: Some(now),
            started_at: now,
            finished_at: None,
            lines_total: 2,
            lines: Vec::new(),
        };
        bench.store.put_reconciliation(report.clone()).await.unwrap();
        assert_eq!(bench.store.reconciliation(request).await.unwrap(), Some(report.clone()));
        report.finished_at = Some(now);
        report.lines =
            vec![LineReport { line: "main".into(), listed: 3, complete: true, ..Default::default() }];
        bench.store.put_reconciliation(report.clone()).await.unwrap();
        bench.store.finish_request(request, "done".into()).await.unwrap();
        assert_eq!(bench.store.open_reconciliation().await.unwrap(), None);
        assert_eq!(
            bench.store.last_reconciliation().await.unwrap(),
            None,
            "a person's is about another time"
        );
        let mut scheduled = Reconciliation {
            id: Uuid::now_v7(),
            asked_by: AskedBy::Loss,
            finished_at: None,
            ..report.clone()
        };
        bench.store.put_reconciliation(scheduled.clone()).await.unwrap();
        assert_eq!(bench.store.last_reconciliation().await.unwrap(), None, "it is under way");
        (scheduled.finished_at, scheduled.lines[0].complete) = (Some(now), false);
        bench.store.put_reconciliation(scheduled.clone()).await.unwrap();
        assert_eq!(bench.store.last_reconciliation().await.unwrap(), Some(scheduled.clone()));
        let old = Reconciliation {
            id: Uuid::now_v7(),
            asked_by: AskedBy::Schedule,
            since: None,
            started_at: now - TimeDelta::days(91),
            ..report.clone()
        };
        bench.store.put_reconciliation(old).await.unwrap();
        bench.store.put_reconciliation(report.clone()).await.unwrap();
        let kept = bench.store.reconciliations(10).await.unwrap();
        assert_eq!(kept.len(), 2, "old ones go");
        assert!(kept.contains(&report) && kept.contains(&scheduled));
    }

    pub(super) async fn a_line_is_never_listed_backwards_and_may_be_removed(bench: Bench) {
        bench.add_line("second", "+15550002222", 1).await;
        let now = Utc::now().duration_trunc(TimeDelta::microseconds(1)).unwrap();
        let lines = bench.store.lines().await.unwrap();
        let line = lines.iter().find(|line| line.settings.webhook_id == "second").unwrap().id;
        for at in [now, now - TimeDelta::hours(1)] {
            bench.store.put_listed_to(line, at).await.unwrap();
        }
        assert_eq!(bench.store.listed_to().await.unwrap(), [(line, now)].into());
        assert!(bench.store.remove_line("second".into()).await.unwrap(), "it had no history");
        assert!(bench.store.listed_to().await.unwrap().is_empty());
    }

    pub(super) async fn a_line_that_comes_back_goes_on_where_it_was_unless_it_was_long_away(bench: Bench) {
        bench.text(HEATHER, "hello").await;
        let before = bench.store.lines().await.unwrap().remove(0);
        let now = Utc::now().duration_trunc(TimeDelta::microseconds(1)).unwrap();
        for (away, kept) in [(TimeDelta::days(2), false), (TimeDelta::hours(2), true)] {
            bench.store.put_listed_to(before.id, now - away).await.unwrap();
            assert!(!bench.store.remove_line("main".into()).await.unwrap(), "it has a history");
            bench.add_line("main", "+15550001111", 100).await;
            assert_eq!(bench.store.listed_to().await.unwrap().contains_key(&before.id), kept, "{away}");
        }
        assert!(bench.store.lines().await.unwrap().remove(0).created_at > before.created_at);
    }

    pub(super) async fn texts_of_another_account_are_not_ours(bench: Bench) {
        bench.text(HEATHER, "hello").await;
        let sent = sid();
        let [acknowledgement] = &bench.claim().await[..] else { unreachable!("one acknowledgement") };
        let ours = Some((acknowledgement.message_id, acknowledgement.attempt));
        bench.report(&sent, DeliveryStatus::Sent, ours).await;
        let sids = [sent.clone(), sid()];
        let ours = bench.store.outbound_progress(ACCOUNT, &sids).await.unwrap();
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[&sent].status(), DeliveryStatus::Sent);
        let other = bench.store.outbound_progress("AC00000000000000000000000000000009", &sids).await.unwrap();
        assert!(other.is_empty());
    }
}
