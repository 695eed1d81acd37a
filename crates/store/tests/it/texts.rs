//! Texts: how often each has its effect, and who wins when many come at once.

use crate::on_both;

on_both! {
    a_text_delivered_twice_is_stored_once
    a_text_stored_under_another_event_is_not_stored_again
    a_batch_places_its_texts_in_order
    sixty_four_first_texts_at_once_make_one_case
    workers_that_meet_in_many_conversations_do_not_stop_each_other
    every_body_is_stored_whole
    a_text_handled_late_takes_its_place_in_the_thread
    case_numbers_are_given_once
    what_waits_for_a_conversation_is_queued_in_the_order_it_was_decided
    a_text_for_a_line_that_is_gone_is_set_aside
    a_dead_letter_is_replayed_on_request
}

mod story {
    use std::collections::HashSet;
    use std::sync::Arc;

    use casewire_domain::DedupeId;
    use casewire_domain::command::Command;
    use casewire_domain::decide::Outcome;
    use casewire_store::Store;
    use casewire_store::view::CaseFilter;

    use crate::bench::{ACCOUNT, Bench, HEATHER, sid, text};

    pub(super) async fn a_text_delivered_twice_is_stored_once(bench: Bench) {
        let command = text("main", HEATHER, "my heater is broken", &sid());
        let first = bench.store.handle_one(command.clone()).await.unwrap();
        assert_eq!(bench.store.handle_one(command.clone()).await.unwrap(), Outcome::Duplicate);
        let twice = bench.store.handle(vec![command.clone(), command]).await.unwrap();
        assert_eq!(twice, [Outcome::Duplicate, Outcome::Duplicate]);
        let Outcome::Placed { case, .. } = first else { unreachable!("{first:?}") };
        let view = bench.case(case).await;
        assert_eq!(view.messages.len(), 2, "the text and one acknowledgement");
        assert_eq!(view.contact.name.reveal(), "SMS from Seattle, WA");
    }

    pub(super) async fn a_text_stored_under_another_event_is_not_stored_again(bench: Bench) {
        let sid = sid();
        bench.store.handle_one(text("main", HEATHER, "hello", &sid)).await.unwrap();
        let Command::Text(mut facts, again) = text("main", HEATHER, "hello", &sid) else { unreachable!() };
        Arc::make_mut(&mut facts).dedupe_id = DedupeId::new("h:another").unwrap();
        let again = Command::Text(facts, again);
        assert_eq!(bench.store.handle_one(again).await.unwrap(), Outcome::Duplicate);
    }

    pub(super) async fn a_batch_places_its_texts_in_order(bench: Bench) {
        let bodies: Vec<String> = (0..50).map(|i| format!("text {i}")).collect();
        let batch: Vec<_> = bodies.iter().map(|body| text("main", HEATHER, body, &sid())).collect();
        let outcomes = bench.store.handle(batch).await.unwrap();
        let cases: HashSet<_> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Placed { case, .. } => *case,
                other => unreachable!("{other:?}"),
            })
            .collect();
        let [case] = cases.into_iter().collect::<Vec<_>>()[..] else { unreachable!("one case") };
        let view = bench.case(case).await;
        let inbound = view.messages.iter().filter(|m| !m.message.automatic).map(|m| m.message.body.reveal());
        assert_eq!(inbound.collect::<Vec<_>>(), bodies);
    }

    pub(super) async fn sixty_four_first_texts_at_once_make_one_case(bench: Bench) {
        // Four stores of their own, as four worker processes have.
        let mut stores = Vec::new();
        for _ in 0..4 {
            stores.push(Store::open(&bench.config).await.unwrap());
        }
        let tasks: Vec<_> = (0..64)
            .map(|i| {
                let store: Store = stores[i % 4].clone();
                tokio::spawn(async move {
                    store.handle_one(text("main", HEATHER, "hello", &sid())).await.unwrap()
                })
            })
            .collect();
        let mut cases = HashSet::new();
        for task in tasks {
            match task.await.unwrap() {
                Outcome::Placed { case, .. } => cases.insert(case),
                other => unreachable!("{other:?}"),
            };
        }
        assert_eq!(cases.len(), 1);
        let page = bench.store.list_cases(&CaseFilter::default(), 10, None).await.unwrap();
        assert_eq!(page.items.len(), 1);
        let view = bench.case(page.items[0].case.number).await;
        assert_eq!(view.messages.iter().filter(|m| !m.message.automatic).count(), 64);
        assert_eq!(view.messages.iter().filter(|m| m.message.automatic).count(), 1, "one acknowledgement");
    }

    pub(super) async fn workers_that_meet_in_many_conversations_do_not_stop_each_other(bench: Bench) {
        let tasks: Vec<_> = (0..8)
            .map(|worker| {
                let store = bench.store.clone();
                tokio::spawn(async move {
                    for round in 0..5 {
                        // The same twenty people in another order each time.
                        let people = (0..20).map(|i| (i * 7 + worker * 3 + round) % 20);
                        let batch: Vec<_> = people
                            .map(|i| text("main", &format!("+120655502{i:02}"), "hi", &sid()))
                            .collect();
                        store.handle(batch).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let page = bench.store.list_cases(&CaseFilter::default(), 100, None).await.unwrap();
        assert_eq!(page.items.len(), 20);
    }

    pub(super) async fn every_body_is_stored_whole(bench: Bench) {
        let long = "ü".repeat(1_600);
        let bodies = ["R&D: 50% + a=b 🔥", "שלום \u{202e}abc", "\u{1}\u{1b}[31m\r\n\t'\"\\", "", &long];
        let mut case = None;
        for body in bodies {
            case = Some(bench.placed(HEATHER, body).await);
        }
        let case = case.unwrap();
        bench.reply(case, "a\0b", None).await;
        let texts = bench.case(case).await.messages.into_iter().map(|view| view.message);
        let bodies_stored: Vec<_> =
            texts.filter(|m| !m.automatic).map(|m| m.body.reveal().to_owned()).collect();
        assert_eq!(bodies_stored, [bodies.as_slice(), &["a\u{fffd}b"]].concat());
    }

    pub(super) async fn a_text_handled_late_takes_its_place_in_the_thread(bench: Bench) {
        let mut early = text("main", HEATHER, "my heater is broken", &sid());
        let case = bench.placed(HEATHER, "hello?").await;
        let Command::Text(facts, _) = &mut early else { unreachable!() };
        Arc::make_mut(facts).received_at -= chrono::TimeDelta::minutes(5);
        bench.store.handle_one(early).await.unwrap();
        let view = bench.case(case).await;
        assert_eq!(view.messages[0].message.body.reveal(), "my heater is broken");
        assert_eq!(view.case.opened_at, view.messages[0].message.received_at);
    }

    pub(super) async fn case_numbers_are_given_once(bench: Bench) {
        let batch: Vec<_> =
            (0..250).map(|i| text("main", &format!("+1206555{i:04}"), "hi", &sid())).collect();
        bench.store.handle(batch).await.unwrap();
        let other = Store::open(&bench.config).await.unwrap();
        let outcome = other.handle_one(text("main", "+12065559999", "hi", &sid())).await.unwrap();
        let Outcome::Placed { case, .. } = outcome else { unreachable!("{outcome:?}") };
        assert!(case.value() > 1_250, "a number beyond the first store's blocks: {case}");
        let first = bench.store.list_cases(&CaseFilter::default(), 500, None).await.unwrap().items;
        assert_eq!(first.iter().map(|c| c.case.number).collect::<HashSet<_>>().len(), 251);
        assert_eq!(first.iter().map(|c| c.case.number.to_string()).min().unwrap(), "00001001");
    }

    pub(super) async fn a_text_for_a_line_that_is_gone_is_set_aside(bench: Bench) {
        let outcome = bench.store.handle_one(text("nowhere", HEATHER, "hi", &sid())).await.unwrap();
        assert!(matches!(outcome, Outcome::SetAside(_)));
        let letters = bench.store.dead_letters(10).await.unwrap();
        assert_eq!((letters.len(), letters[0].raw.as_slice()), (1, b"raw".as_slice()));
    }

    pub(super) async fn a_dead_letter_is_replayed_on_request(bench: Bench) {
        let command = text("later", HEATHER, "hi", &sid());
        let id = command.event().unwrap().dedupe_id.clone();
        bench.store.handle_one(command.clone()).await.unwrap();
        let request = bench.store.request_replay(&id).await.unwrap();
        bench.add_line("later", "+15550002222", 100).await;
        let open = bench.store.open_replays(10).await.unwrap();
        assert_eq!((open.len(), open[0].id), (1, request));
        assert!(bench.store.begin_request(request).await.unwrap(), "one worker has it");
        assert!(!bench.store.begin_request(request).await.unwrap(), "and no other");
        assert_eq!(bench.store.request_outcome(request).await.unwrap(), None, "nothing has come of it yet");
        let outcome = bench.store.handle_one(command).await.unwrap();
        assert!(matches!(outcome, Outcome::Placed { .. }), "{outcome:?}");
        bench.store.finish_request(request, "placed".into()).await.unwrap();
        assert_eq!(bench.store.request_outcome(request).await.unwrap().as_deref(), Some("placed"));
        assert!(bench.store.dead_letters(10).await.unwrap().is_empty());
        assert!(bench.store.open_replays(10).await.unwrap().is_empty());
        let none = DedupeId::new(format!("i:{ACCOUNT}:none")).unwrap();
        assert!(bench.store.request_replay(&none).await.is_err());
    }

    pub(super) async fn what_waits_for_a_conversation_is_queued_in_the_order_it_was_decided(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let bench = std::sync::Arc::new(bench);
        let replies: Vec<_> = (0..60)
            .map(|number| {
                let bench = bench.clone();
                tokio::spawn(async move { bench.reply(case, &format!("reply {number}"), None).await })
            })
            .collect();
        for reply in replies {
            reply.await.unwrap();
        }
        // Entries of one case are numbered while its conversation is held.
        let trail = bench.case(case).await.trail;
        let times: Vec<_> =
            trail.iter().filter(|entry| entry.kind == "reply_queued").map(|entry| entry.at).collect();
        assert_eq!(times.len(), 60);
        assert!(times.is_sorted(), "a later decision has an earlier time");
    }
}
