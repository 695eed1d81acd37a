//! Batches: what is known in them already, who else has them, and rows that are alike.

use crate::on_both;

on_both! {
    a_text_that_comes_again_among_others_is_the_only_one_held_back
    a_known_text_a_new_one_and_a_report_in_one_batch_each_have_their_effect
    a_stop_that_comes_again_changes_nothing
    a_batch_that_two_workers_have_at_once_is_stored_once
    a_first_text_is_placed_though_another_case_has_its_number
    many_texts_are_stored_as_each_was_sent_however_alike_they_are
}

mod story {
    use casewire_domain::command::Command;
    use casewire_domain::decide::Outcome;
    use casewire_domain::inbound::Media;
    use casewire_domain::{CaseNumber, DeliveryStatus};
    use casewire_store::Store;

    use crate::bench::{Bench, HEATHER, IAN, report, sid, text};

    fn case(outcome: &Outcome) -> CaseNumber {
        match outcome {
            Outcome::Placed { case, .. } => *case,
            other => unreachable!("{other:?}"),
        }
    }

    pub(super) async fn a_text_that_comes_again_among_others_is_the_only_one_held_back(bench: Bench) {
        let again = text("main", HEATHER, "hello", &sid());
        let first = case(&bench.store.handle_one(again.clone()).await.unwrap());
        let outcomes = bench.store.handle([text("main", IAN, "hi", &sid()), again]).await.unwrap();
        assert_eq!(outcomes[1], Outcome::Duplicate);
        let next = case(&outcomes[0]);
        assert_eq!(next.value(), first.value() + 1, "the try that met the known text took no number with it");
    }

    pub(super) async fn a_known_text_a_new_one_and_a_report_in_one_batch_each_have_their_effect(
        bench: Bench,
    ) {
        let known = text("main", HEATHER, "hello", &sid());
        let number = case(&bench.store.handle_one(known.clone()).await.unwrap());
        let sent = (bench.claim().await[0].message_id, 1);
        let delivered = report(&sid(), DeliveryStatus::Delivered, Some(sent));
        let batch = [delivered.clone(), known, text("main", HEATHER, "anybody there?", &sid()), delivered];
        let outcomes = bench.store.handle(batch).await.unwrap();
        assert!(matches!(outcomes[0], Outcome::Reported { .. }), "{outcomes:?}");
        assert_eq!((&outcomes[1], case(&outcomes[2])), (&Outcome::Duplicate, number));
        assert_eq!(outcomes[3], Outcome::Duplicate);
        let view = bench.case(number).await;
        assert_eq!(view.messages.len(), 3, "two texts and one acknowledgement");
        let answer = view.messages.iter().find(|view| view.message.automatic).unwrap();
        assert_eq!(answer.message.progress.status(), DeliveryStatus::Delivered);
    }

    pub(super) async fn a_stop_that_comes_again_changes_nothing(bench: Bench) {
        let number = bench.placed(HEATHER, "hello").await;
        let stop = text("main", HEATHER, "STOP", &sid());
        assert_eq!(bench.store.handle_one(stop.clone()).await.unwrap(), Outcome::Recorded);
        assert_eq!(bench.text(HEATHER, "START").await, Outcome::Recorded);
        assert_eq!(bench.store.handle_one(stop).await.unwrap(), Outcome::Duplicate);
        assert!(!bench.case(number).await.opted_out);
    }

    pub(super) async fn a_batch_that_two_workers_have_at_once_is_stored_once(bench: Bench) {
        let person = |i: u32| format!("+120655503{:02}", i % 10);
        let batch: Vec<_> = (0..40).map(|i| text("main", &person(i), "hello", &sid())).collect();
        let mut workers = Vec::new();
        for _ in 0..2 {
            let (store, batch) = (Store::open(&bench.config).await.unwrap(), batch.clone());
            workers.push(tokio::spawn(async move { store.handle(batch).await.unwrap() }));
        }
        let (one, other) = (workers.remove(0).await.unwrap(), workers.remove(0).await.unwrap());
        for (one, other) in one.iter().zip(&other) {
            let both = [one, other];
            assert_eq!(both.iter().filter(|it| ***it == Outcome::Duplicate).count(), 1, "{both:?}");
            case(both.into_iter().find(|it| **it != Outcome::Duplicate).unwrap());
        }
    }

    pub(super) async fn a_first_text_is_placed_though_another_case_has_its_number(bench: Bench) {
        let first = bench.placed(HEATHER, "hello").await;
        // What a failover leaves that loses the last numbers which were taken: two processes have the same.
        let taken = "update \"case\" set number = number + 1";
        bench.intruder().await.run(taken, taken).await;
        assert_eq!(bench.placed(IAN, "hi").await.value(), first.value() + 2);
    }

    pub(super) async fn many_texts_are_stored_as_each_was_sent_however_alike_they_are(bench: Bench) {
        let odd = |i: usize| Media {
            url: format!("https://media.example/{i}?\"é\\'{{}}"),
            content_type: "image/jpeg".to_owned(),
        };
        // Alike but for one, alike, and each another; below and above the number of rows from which it matters.
        let kinds: [fn(usize) -> usize; 3] = [|i| usize::from(i == 30), |_| 7, |i| i];
        for (count, kind) in [31, 32, 64].into_iter().flat_map(|count| kinds.map(|kind| (count, kind))) {
            let sent: Vec<_> =
                (0..count).map(|i| (format!("text {}", kind(i)), vec![odd(kind(i))])).collect();
            let batch = sent.iter().map(|(body, media)| {
                let mut command = text("main", HEATHER, body, &sid());
                if let Command::Text(_, text) = &mut command {
                    text.media.clone_from(media);
                }
                command
            });
            let outcomes = bench.store.handle(batch.collect::<Vec<_>>()).await.unwrap();
            let texts = bench.case(case(&outcomes[0])).await.messages.into_iter().map(|view| view.message);
            let texts: Vec<_> =
                texts.filter(|it| !it.automatic).map(|it| (it.body.reveal().to_owned(), it.media)).collect();
            assert_eq!(texts[texts.len() - count..], sent, "{count} texts");
        }
    }
}
