//! What the desk asks: lists, replies made once, tokens and links.

use crate::on_both;

on_both! {
    a_reply_under_one_key_is_made_once
    cases_are_listed_page_by_page
    a_list_shows_the_newest_text_of_each_case
    a_link_opens_one_session
    one_name_is_one_token_however_many_ask_at_once
    the_trail_is_read_from_a_point
    an_account_keeps_two_live_tokens
    a_reply_on_a_line_that_was_removed_is_refused
    a_database_of_another_version_is_refused
    several_processes_may_migrate_at_once
}

mod story {
    use std::collections::{HashMap, HashSet};

    use casewire_domain::case::CaseStatus;
    use casewire_domain::decide::{Outcome, Refusal};
    use casewire_domain::message::Direction;
    use casewire_domain::seal::Sealed;
    use casewire_store::view::CaseFilter;
    use casewire_store::{Error, Store, TokenKind};
    use chrono::{TimeDelta, Utc};

    use crate::bench::{ACCOUNT, Bench, HEATHER, IAN};

    pub(super) async fn a_reply_under_one_key_is_made_once(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        let Outcome::Replied { message_id, repeated: false } =
            bench.reply(case, "on our way", Some("k1")).await
        else {
            unreachable!()
        };
        let again = bench.reply(case, "on our way", Some("k1")).await;
        assert_eq!(again, Outcome::Replied { message_id, repeated: true });
        let other = bench.reply(case, "something else", Some("k1")).await;
        assert_eq!(other, Outcome::Refused(Refusal::KeyReused));
        let both = futures_race(&bench, case).await;
        assert_eq!(both.len(), 1, "two at once under one key are one reply");
        assert_eq!(bench.case(case).await.messages.len(), 4);
    }

    async fn futures_race(bench: &Bench, case: casewire_domain::CaseNumber) -> HashSet<String> {
        let (a, b) = tokio::join!(bench.reply(case, "hi", Some("k2")), bench.reply(case, "hi", Some("k2")));
        [a, b]
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Replied { message_id, .. } => message_id.to_string(),
                other => unreachable!("{other:?}"),
            })
            .collect()
    }

    pub(super) async fn cases_are_listed_page_by_page(bench: Bench) {
        let mut numbers = Vec::new();
        for i in 0..7 {
            numbers.push(bench.placed(&format!("+1206555{i:04}"), "hi").await);
        }
        bench.set_status(numbers[0], CaseStatus::Closed).await;
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = bench.store.list_cases(&CaseFilter::default(), 3, after).await.unwrap();
            seen.extend(page.items.iter().map(|item| item.case.number));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 7);
        assert_eq!(seen[0], numbers[0], "the one that changed last comes first");
        let closed = CaseFilter { status: Some(CaseStatus::Closed), ..CaseFilter::default() };
        assert_eq!(bench.store.list_cases(&closed, 10, None).await.unwrap().items.len(), 1);
        let contact = CaseFilter { contact: Some("+12065550003".into()), ..CaseFilter::default() };
        let found = bench.store.list_cases(&contact, 10, None).await.unwrap().items;
        assert_eq!(found.iter().map(|item| item.case.number).collect::<Vec<_>>(), [numbers[3]]);
        let by_id = CaseFilter { contact: Some(found[0].contact.id.to_string()), ..CaseFilter::default() };
        assert_eq!(bench.store.list_cases(&by_id, 10, None).await.unwrap().items.len(), 1);
        let line = CaseFilter { line: Some("nowhere".into()), ..CaseFilter::default() };
        assert!(bench.store.list_cases(&line, 10, None).await.unwrap().items.is_empty());
    }

    pub(super) async fn a_list_shows_the_newest_text_of_each_case(bench: Bench) {
        let heather = bench.placed(HEATHER, "my heater is broken").await;
        let ian = bench.placed(IAN, "hello").await;
        bench.placed(HEATHER, "it is cold").await;
        bench.reply(ian, "hello Ian", None).await;
        let items = bench.store.list_cases(&CaseFilter::default(), 10, None).await.unwrap().items;
        let newest: HashMap<_, _> = items
            .iter()
            .map(|item| {
                let last = item.last_message.as_ref().unwrap();
                (item.case.number, (item.line.as_str(), last.direction, last.body.reveal()))
            })
            .collect();
        let expected = [
            (heather, ("main", Direction::Inbound, "it is cold")),
            (ian, ("main", Direction::Outbound, "hello Ian")),
        ];
        assert_eq!(newest, HashMap::from(expected));
    }

    pub(super) async fn a_link_opens_one_session(bench: Bench) {
        let soon = Utc::now() + TimeDelta::hours(1);
        bench.store.add_token(TokenKind::Link, "demo".into(), "link", Some(soon)).await.unwrap();
        let (a, b) =
            tokio::join!(bench.store.use_link("link", "s1", soon), bench.store.use_link("link", "s2", soon));
        assert_eq!([a.unwrap(), b.unwrap()].iter().filter(|used| **used).count(), 1);
        let mut sessions = 0;
        for secret in ["s1", "s2"] {
            sessions += usize::from(bench.store.caller(TokenKind::Session, secret).await.unwrap().is_some());
        }
        assert_eq!(sessions, 1);
        assert!(
            bench.store.caller(TokenKind::Api, "s1").await.unwrap().is_none(),
            "a session is no API token"
        );
        let past = Utc::now() - TimeDelta::hours(1);
        bench.store.add_token(TokenKind::Api, "old".into(), "t", Some(past)).await.unwrap();
        assert!(bench.store.caller(TokenKind::Api, "t").await.unwrap().is_none());
    }

    pub(super) async fn one_name_is_one_token_however_many_ask_at_once(bench: Bench) {
        let add = |secret: &'static str| bench.store.add_api_token("gwen".into(), secret);
        let (a, b) = tokio::join!(add("a"), add("b"));
        let refused = a.and(b).unwrap_err();
        assert!(matches!(&refused, Error::Invalid(why) if why.contains("gwen")), "{refused}");
        let mut live = 0;
        for secret in ["a", "b"] {
            live += usize::from(bench.store.caller(TokenKind::Api, secret).await.unwrap().is_some());
        }
        assert_eq!(live, 1);
        let past = Utc::now() - TimeDelta::hours(1);
        bench.store.add_token(TokenKind::Api, "ben".into(), "old", Some(past)).await.unwrap();
        bench.store.add_api_token("ben".into(), "new").await.unwrap();
    }

    pub(super) async fn the_trail_is_read_from_a_point(bench: Bench) {
        bench.placed(HEATHER, "my heater is broken").await;
        let end = bench.store.trail_end().await.unwrap();
        let case = bench.placed(IAN, "hello").await;
        let news = bench.store.trail_since(end, 100).await.unwrap();
        let kinds: Vec<_> = news.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, ["case_opened", "acknowledgement_queued"]);
        assert!(news.iter().all(|entry| entry.case == case));
    }

    pub(super) async fn a_reply_on_a_line_that_was_removed_is_refused(bench: Bench) {
        let case = bench.placed(HEATHER, "my heater is broken").await;
        assert!(!bench.store.remove_line("main".into()).await.unwrap(), "it has a history");
        assert_eq!(bench.reply(case, "hi", None).await, Outcome::Refused(Refusal::LineRemoved));
        bench.add_line("main", "+15550001111", 100).await;
        assert!(matches!(bench.reply(case, "hi", None).await, Outcome::Replied { .. }));
    }

    pub(super) async fn an_account_keeps_two_live_tokens(bench: Bench) {
        let before = bench.store.directory_version().await.unwrap();
        for token in ["second", "third"] {
            bench.store.put_account_token(ACCOUNT.into(), move |_| Sealed::from_stored(token)).await.unwrap();
        }
        let directory = bench.store.directory().await.unwrap();
        let tokens: Vec<_> = directory.accounts[0].tokens.iter().map(Sealed::as_str).collect();
        assert_eq!(tokens, ["third", "second"]);
        assert!(directory.version > before);
        bench.store.drop_old_tokens(ACCOUNT.into()).await.unwrap();
        assert_eq!(bench.store.directory().await.unwrap().accounts[0].tokens.len(), 1);
        assert!(bench.store.drop_old_tokens("AC404".into()).await.is_err());
    }

    pub(super) async fn a_database_of_another_version_is_refused(bench: Bench) {
        bench.store.check_schema().await.unwrap();
        assert_eq!(bench.store.migrate().await.unwrap(), 0, "migrating twice does nothing");
        let empty = Bench::sqlite().await;
        let folder = tempfile::TempDir::new().unwrap();
        let fresh =
            Store::open(&casewire_store::Config::sqlite(&folder.path().join("new.db"))).await.unwrap();
        let refused = fresh.check_schema().await;
        assert!(matches!(&refused, Err(Error::Schema(sentence)) if sentence.contains("casewire migrate")));
        empty.store.check_schema().await.unwrap();
    }

    pub(super) async fn several_processes_may_migrate_at_once(bench: Bench) {
        let Some(config) = bench.empty_postgres().await else { return };
        let tasks: Vec<_> = (0..6)
            .map(|process| {
                let config = config.clone();
                tokio::spawn(async move {
                    let store = Store::open(&config).await.unwrap();
                    // Roles look at the schema while others migrate.
                    let looked = store.check_schema().await;
                    assert!(!matches!(looked, Err(Error::Conflict(_) | Error::Refused(_))), "{looked:?}");
                    if process % 2 == 0 { store.migrate().await.unwrap() } else { 0 }
                })
            })
            .collect();
        let mut migrated = 0;
        for task in tasks {
            migrated += usize::from(task.await.unwrap() > 0);
        }
        assert_eq!(migrated, 1, "one of them migrated");
        Store::open(&config).await.unwrap().check_schema().await.unwrap();
    }
}
