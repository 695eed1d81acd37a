//! What the provider took and casewire was never told: found on its list, brought in as if it had been.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use casewire_domain::DeliveryStatus::{self, Delivered, Undelivered};
use casewire_domain::Media;
use casewire_domain::command::Command;
use casewire_runtime::config;
use casewire_simulator::{FailedStatus, Fault, HandsetDraft, Line, Rule};
use casewire_store::{AskedBy, COMPARING, LineReport, Reconciliation};
use casewire_testkit::{eventually, eventually_some};
use casewire_twilio::rest::{Client, Credentials, List, NextPage, Page, ReadError, Send, SendOutcome};
use casewire_worker::{Deps, Provider};
use chrono::{TimeDelta, Utc};
use sqlx::Row;
use uuid::Uuid;

use crate::bench::{Bench, Plan, Running, SOON};
use crate::double::Double;
use crate::words::{ACCOUNT, HEATHER, IAN, LINE, TOKEN, number, person};

/// Nothing waits for what is on its way: here nothing is.
fn plan() -> Plan {
    let ms = Duration::from_millis;
    let worker = config::Worker {
        sweep_settle: ms(0),
        reconcile_retry_first: ms(20),
        reconcile_retry_most: ms(100),
        ..Plan::default().worker
    };
    Plan { worker, ..Plan::default() }
}

/// The list tells times to the second: what is to be told apart by it is said in different ones.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

async fn bench() -> Result<(Bench, Running)> {
    Bench::with(plan()).await
}

impl Bench {
    /// From now on nobody answers the line's webhooks, or somebody does again.
    fn deaf(&self, deaf: bool) -> Result<()> {
        let url = if deaf { "http://127.0.0.1:9/".to_owned() } else { self.webhook() };
        self.simulator.set_line(Line::new(number(LINE), ACCOUNT.parse()?, url));
        Ok(())
    }

    /// Somebody texts, and the provider cannot tell us.
    async fn text_unheard(&self, from: &str, body: &str) -> Result<String> {
        self.deaf(true)?;
        let sent = self.simulator.send_text(HandsetDraft::new(number(from), number(LINE), body)).await?;
        self.deaf(false)?;
        ensure!(!sent.taken, "nobody was listening");
        Ok(sent.sid.to_string())
    }

    /// Asks for a comparison of the last hour and waits for it.
    async fn reconcile(&self) -> Result<Reconciliation> {
        let id = self.store.request_reconciliation(Utc::now() - TimeDelta::hours(1)).await?;
        eventually_some("the lists are compared", SOON, || async {
            let report = self.store.reconciliation(id).await.ok()??;
            report.finished_at.map(|_| report.clone())
        })
        .await
    }

    async fn reconcile_main(&self) -> Result<LineReport> {
        self.reconcile().await?.lines.into_iter().next().context("the line main")
    }

    /// The words of this person's newest case, oldest first.
    async fn said(&self, person: &str) -> Result<Vec<String>> {
        let case = self.case_of(person).await?.context("a case")?;
        let theirs = case.messages.iter().filter(|view| !view.message.automatic);
        Ok(theirs.map(|view| view.message.body.reveal().to_owned()).collect())
    }

    async fn suppressed(&self) -> Result<bool> {
        let mut database = self.intruder().await?;
        let row =
            sqlx::query("select count(*) from suppression where active").fetch_one(&mut database).await?;
        Ok(row.try_get::<i64, _>(0)? == 1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_whose_webhooks_never_came_are_in_their_cases_after_one_comparison() -> Result<()> {
    let (bench, worker) = bench().await?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.case_soon(HEATHER).await?;
    next_second().await;
    bench.text_unheard(HEATHER, "it is getting cold").await?;
    bench.text_unheard(IAN, "is anybody there?").await?;
    bench.text_unheard(IAN, "hello?").await?;
    let report = bench.reconcile_main().await?;
    assert_eq!(
        (report.listed, report.brought_in, report.failures),
        (5, 3, 0),
        "four of theirs, one of ours: {report:?}"
    );
    assert_eq!((report.known, report.set_aside, report.complete), (2, 0, true), "{report:?}");
    assert_eq!(bench.said(HEATHER).await?, ["my heater is broken", "it is getting cold"]);
    assert_eq!(bench.said(IAN).await?, ["is anybody there?", "hello?"]);
    assert_eq!(worker.metric(r#"casewire_sweeper_rescued_total{sweeper="provider"}"#)?, 3.0);
    bench.stands(IAN, &[(Delivered, None)]).await?;
    next_second().await;

    // Once more, and the webhook after all, when the provider's retries come: nothing happens twice.
    let again = bench.reconcile_main().await?;
    assert_eq!((again.brought_in, again.known, again.listed), (0, 6, 6), "{again:?}");
    assert_eq!(bench.said(IAN).await?.len(), 2);
    assert_eq!(bench.accepted_for(IAN).len(), 1, "one acknowledgement");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_cannot_be_brought_in_at_once_is_tried_again() -> Result<()> {
    let bench = Bench::idle(plan()).await?;
    let is_text = |command: &Command| matches!(command, Command::Text(..));
    let database = Arc::new(Double::stumbling(bench.store.clone(), 4, is_text));
    let _worker = bench.run(Deps { database, ..bench.deps()? });
    bench.text_unheard(HEATHER, "is anybody there?").await?;
    let report = bench.reconcile_main().await?;
    assert_eq!((report.brought_in, report.set_aside, report.complete), (1, 0, true), "{report:?}");
    assert_eq!(bench.said(HEATHER).await?, ["is anybody there?"]);
    assert_eq!(bench.store.dead_letters(10).await?.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_found_on_the_list_has_its_files_and_its_time() -> Result<()> {
    let (bench, _worker) = bench().await?;
    let mut draft = HandsetDraft::new(number(HEATHER), number(LINE), "look");
    for kind in ["image/jpeg", "image/png"] {
        let url = "https://example.org/1".to_owned();
        draft.media.push(casewire_domain::Media { url, content_type: kind.to_owned() });
    }
    bench.deaf(true)?;
    let before = Utc::now();
    let sent = bench.simulator.send_text(draft).await?;
    let report = bench.reconcile_main().await?;
    assert_eq!(report.brought_in, 1);
    let case = bench.case_of(HEATHER).await?.context("a case")?;
    let message = &case.messages[0].message;
    let files: Vec<_> = message.media.iter().map(|file| file.content_type.as_str()).collect();
    assert_eq!(files, ["image/jpeg", "image/png"]);
    let place = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}/Media/ME", sent.sid);
    assert!(message.media.iter().all(|file| file.url.contains(&place)), "a URL that needs our credentials");
    let late = (before - message.received_at).num_milliseconds();
    assert!((-5_000..1_000).contains(&late), "to the second, as the list has it: {late} ms");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opt_outs_that_are_learnt_late_count_from_when_they_were_said() -> Result<()> {
    let (bench, _worker) = bench().await?;
    // Never heard of; START was said later and came in time.
    bench.text_unheard(HEATHER, "STOP").await?;
    next_second().await;
    bench.text(HEATHER, "START").await?;
    assert_eq!(bench.reconcile_main().await?.brought_in, 1);
    assert!(!bench.suppressed().await?, "the START was later");
    next_second().await;
    bench.text_unheard(HEATHER, "STOP").await?;
    assert_eq!(bench.reconcile_main().await?.brought_in, 1);
    assert!(bench.suppressed().await?, "this STOP is the latest word");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_whose_callbacks_were_lost_are_corrected() -> Result<()> {
    let (bench, worker) = bench().await?;
    let fails = Fault::FailDelivery { status: FailedStatus::Undelivered, code: 30_005 };
    let to_ian = Rule { to: Some(number(IAN)), ..Rule::always(fails) };
    bench.faults(vec![Rule::always(Fault::DropCallbacks), to_ian])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.text(IAN, "mine, too").await?;
    bench.stands(HEATHER, &[(DeliveryStatus::Queued, None)]).await?;
    bench.stands(IAN, &[(DeliveryStatus::Queued, None)]).await?;
    ensure!(bench.simulator.wait_until_idle(SOON).await);
    next_second().await;
    let report = bench.reconcile_main().await?;
    assert_eq!((report.statuses_corrected, report.brought_in), (2, 0), "{report:?}");
    assert_eq!(bench.standing(HEATHER).await?, [(Delivered, None)]);
    assert_eq!(bench.standing(IAN).await?, [(Undelivered, None)]);
    let case = bench.case_of(IAN).await?.context("a case")?;
    assert!(case.messages.iter().any(|view| view.message.progress.error_code() == Some(30_005)));
    assert_eq!(bench.reconcile_main().await?.statuses_corrected, 0);
    assert_eq!(worker.metric("casewire_sweeper_statuses_corrected_total")?, 2.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_another_program_sends_from_the_line_are_counted_and_left_alone() -> Result<()> {
    let (bench, _worker) = bench().await?;
    let credentials = Credentials { account_sid: ACCOUNT.to_owned(), auth_token: TOKEN.into() };
    let (from, to, body) = (number(LINE), number(IAN), casewire_domain::Text::new("a campaign"));
    let send = Send { from: &from, to: &to, body: &body, status_callback: "http://127.0.0.1:9/" };
    let sent = bench.provider_at(&bench.gate.url)?.send(&credentials, &send).await;
    ensure!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
    next_second().await;
    let report = bench.reconcile_main().await?;
    assert_eq!((report.listed, report.unknown_outbound, report.known), (1, 1, 0));
    assert!(bench.case_of(IAN).await?.is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_busy_or_unwell_is_asked_again_and_left_to_the_next_time_at_last() -> Result<()> {
    let (bench, worker) = bench().await?;
    bench.text_unheard(HEATHER, "my heater is broken").await?;
    let busy = |times| Rule::next(times, Fault::ListTooManyRequests { retry_after_s: Some(1) });
    bench.faults(vec![Rule::always(Fault::ListError)])?;
    let report = bench.reconcile_main().await?;
    assert_eq!((report.complete, report.brought_in), (false, 0));
    let trouble = report.trouble.context("a reason")?;
    assert_eq!(trouble, "the provider answered 500");
    assert!(worker.metric(r#"casewire_sweeper_failures_total{sweeper="provider"}"#)? >= 1.0);
    bench.faults(vec![busy(2), Rule::next(2, Fault::ListError)])?;
    let report = bench.reconcile_main().await?;
    assert_eq!((report.complete, report.brought_in, report.trouble), (true, 1, None));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_read_page_by_page_and_brought_in_in_order() -> Result<()> {
    const TEXTS: usize = 1_200;
    let (bench, _worker) = bench().await?;
    bench.deaf(true)?;
    for text in 0..TEXTS {
        let draft = HandsetDraft::new(number(&person(text % 40)), number(LINE), format!("text {text}"));
        // Its webhook fails by itself; nobody waits for that.
        drop(tokio::time::timeout(Duration::ZERO, bench.simulator.send_text(draft)).await);
    }
    let report = bench.reconcile_main().await?;
    assert_eq!((report.brought_in as usize, report.failures), (TEXTS, 0), "{report:?}");
    for somebody in [0, 17, 39] {
        let said = bench.said(&person(somebody)).await?;
        let expected = (somebody..TEXTS).step_by(40).map(|text| format!("text {text}"));
        assert_eq!(said, expected.collect::<Vec<_>>());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schedule_compares_at_the_start_and_not_with_every_restart() -> Result<()> {
    let ms = Duration::from_millis;
    let mut plan = plan();
    plan.worker.reconcile_settle = ms(0);
    plan.worker.reconcile_gap = Duration::from_secs(60);
    let (bench, worker) = Bench::with(plan).await?;
    let reports = async || bench.store.reconciliations(10).await;
    eventually("the first is done", SOON, async || {
        reports().await.is_ok_and(|all| all.first().is_some_and(|first| first.finished_at.is_some()))
    })
    .await?;
    bench.text_unheard(HEATHER, "my heater is broken").await?;
    worker.end(SOON).await?;
    let restarted = bench.worker()?;
    let sweeps = r#"casewire_sweeper_duration_seconds_count{sweeper="provider"}"#;
    // A comparison that somebody asks for is done after those that were due.
    let report = bench.reconcile().await?;
    assert_eq!(report.lines[0].brought_in, 1);
    assert_eq!(restarted.metric(sweeps)?, 1.0, "the one that was asked for");
    let asked: Vec<_> = reports().await?.iter().map(|report| report.asked_by).collect();
    assert_eq!(asked, [AskedBy::Person, AskedBy::Schedule]);
    // From now on the schedule goes on from where that came to, a little earlier.
    let listed = bench.store.listed_to().await?;
    assert_eq!(listed.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_whose_worker_died_is_done_by_another() -> Result<()> {
    let (bench, worker) = bench().await?;
    bench.text_unheard(HEATHER, "my heater is broken").await?;
    bench.faults(vec![Rule::always(Fault::ListTooManyRequests { retry_after_s: Some(60) })])?;
    let id = bench.store.request_reconciliation(Utc::now() - TimeDelta::hours(1)).await?;
    eventually("it is under way", SOON, || async {
        bench.store.reconciliation(id).await.is_ok_and(|report| report.is_some())
    })
    .await?;
    worker.end(SOON).await?;
    bench.faults(Vec::new())?;
    assert!(bench.store.open_reconciliation().await?.is_some() || bench.case_of(HEATHER).await?.is_some());
    let _other = bench.worker()?;
    eventually("the other one does it", SOON, || async {
        bench.store.open_reconciliation().await.is_ok_and(|open| open.is_none())
            && bench
                .store
                .reconciliation(id)
                .await
                .is_ok_and(|report| report.is_some_and(|it| it.finished_at.is_some()))
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_messaging_services_texts_are_found_among_all_of_its_account() -> Result<()> {
    const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
    const ITS_NUMBER: &str = "+15550002222";
    let (bench, _worker) = bench().await?;
    bench.add_line("service", SERVICE, 10_000).await?;
    let deaf = Line::new(number(ITS_NUMBER), ACCOUNT.parse()?, "http://127.0.0.1:9/");
    bench.simulator.set_line(Line { messaging_service_sid: Some(SERVICE.to_owned()), ..deaf });
    let draft = HandsetDraft::new(number(HEATHER), number(ITS_NUMBER), "is anybody there?");
    ensure!(!bench.simulator.send_text(draft).await?.taken);
    bench.text_unheard(IAN, "or there?").await?;
    let report = bench.reconcile().await?;
    let brought: Vec<_> = report.lines.iter().map(|line| (line.line.as_str(), line.brought_in)).collect();
    assert_eq!(brought, [("main", 1), ("service", 1)]);
    let lines: Vec<_> = [HEATHER, IAN].to_vec();
    for (person, line) in lines.into_iter().zip(["service", "main"]) {
        assert_eq!(bench.case_of(person).await?.context("a case")?.line, line);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_from_before_a_line_was_added_are_brought_in_only_when_somebody_asks() -> Result<()> {
    const NUMBER: &str = "+15550003333";
    let bench = Bench::idle(Plan {
        worker: config::Worker { reconcile_settle: Duration::from_millis(1), ..plan().worker },
        ..plan()
    })
    .await?;
    bench.simulator.set_line(Line::new(number(NUMBER), ACCOUNT.parse()?, "http://127.0.0.1:9/"));
    bench
        .simulator
        .send_text(HandsetDraft::new(number(HEATHER), number(NUMBER), "for another program"))
        .await?;
    next_second().await;
    bench.add_line("third", NUMBER, 10_000).await?;
    let _worker = bench.worker()?;
    eventually("the schedule has compared", SOON, || async {
        let all = bench.store.reconciliations(1).await.unwrap_or_default();
        all.first().is_some_and(|report| report.finished_at.is_some() && report.lines.len() == 2)
    })
    .await?;
    assert!(bench.case_of(HEATHER).await?.is_none(), "it was somebody else's to answer");
    assert_eq!(bench.reconcile().await?.lines.iter().map(|line| line.brought_in).sum::<u32>(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_too_long_for_one_reading_is_read_in_parts_and_not_from_there_again() -> Result<()> {
    const TEXTS: usize = 1_200;
    let mut plan = plan();
    plan.worker.reconcile_pages = NonZeroU32::MIN;
    let (bench, worker) = Bench::with(plan).await?;
    bench.deaf(true)?;
    let line = bench.store.lines().await?.remove(0).id;
    bench.store.put_listed_to(line, Utc::now() - TimeDelta::minutes(30)).await?;
    for text in 0..TEXTS {
        if text == TEXTS / 2 {
            next_second().await;
            next_second().await;
        }
        let draft = HandsetDraft::new(number(&person(text % 40)), number(LINE), format!("text {text}"));
        drop(tokio::time::timeout(Duration::ZERO, bench.simulator.send_text(draft)).await);
    }
    let begun = Utc::now();
    let id = bench.store.request_reconciliation(begun - TimeDelta::minutes(40)).await?;
    let report = eventually_some("the lists are compared", Duration::from_secs(60), || async {
        bench.store.reconciliation(id).await.ok()?.filter(|report| report.finished_at.is_some())
    })
    .await?;
    let report = &report.lines[0];
    assert_eq!((report.brought_in as usize, report.known), (TEXTS, 0), "{report:?}");
    let said = bench.said(&person(17)).await?;
    let expected = (17..TEXTS).step_by(40).map(|text| format!("text {text}"));
    assert_eq!(said, expected.collect::<Vec<_>>(), "the oldest first");
    assert!(bench.store.listed_to().await?[&line] >= begun - TimeDelta::seconds(1));
    assert_eq!(worker.metric(r#"casewire_sweeper_rescued_total{sweeper="provider"}"#)?, TEXTS as f64);
    Ok(())
}

/// The provider, without its files.
struct NoFiles(Client);

#[async_trait]
impl Provider for NoFiles {
    async fn send(&self, credentials: &Credentials, text: &Send<'_>) -> SendOutcome {
        self.0.send(credentials, text).await
    }

    async fn list(&self, credentials: &Credentials, list: &List<'_>) -> Result<Page, ReadError> {
        self.0.list(credentials, list).await
    }

    async fn list_next(&self, credentials: &Credentials, next: &NextPage) -> Result<Page, ReadError> {
        self.0.list_next(credentials, next).await
    }

    async fn media(&self, _: &Credentials, _: &str) -> Result<Vec<Media>, ReadError> {
        Err(ReadError::Refused { http_status: 400, code: Some(20_001) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_whose_files_cannot_be_had_is_in_its_case_without_them_and_holds_nothing_up() -> Result<()> {
    let bench = Bench::idle(plan()).await?;
    let mut draft = HandsetDraft::new(number(HEATHER), number(LINE), "look");
    draft.media.push(Media { url: "https://example.org/1".into(), content_type: "image/png".into() });
    bench.deaf(true)?;
    bench.simulator.send_text(draft).await?;
    let line = bench.store.lines().await?.remove(0).id;
    bench.store.put_listed_to(line, Utc::now() - TimeDelta::minutes(30)).await?;
    let provider = Arc::new(NoFiles(bench.provider_at(&bench.provider_url)?));
    let _worker = bench.run(Deps { provider, ..bench.deps()? });
    let begun = Utc::now();
    let report = bench.reconcile_main().await?;
    assert_eq!((report.brought_in, report.failures, report.complete), (1, 1, true), "{report:?}");
    let trouble = report.trouble.context("a reason")?;
    assert_eq!(trouble, "texts are in without their files: the provider refused the request (400)");
    assert_eq!(bench.said(HEATHER).await?, ["look"]);
    assert!(bench.store.listed_to().await?[&line] >= begun, "the next comparison begins later");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_loss_a_worker_saw_before_it_died_is_made_good_by_another() -> Result<()> {
    let bench = Bench::idle(plan()).await?;
    for life in ["first", "second"] {
        bench.store.put_stream_mark("IN_0", life, 1, 1).await?;
    }
    // The dead worker's, which compared meanwhile.
    ensure!(bench.store.take_lease(COMPARING, Uuid::now_v7(), Duration::from_secs(2)).await?);
    let _worker = bench.worker()?;
    eventually("the loss is made good", SOON, || async {
        bench.store.open_losses().await.is_ok_and(|losses| losses.is_empty())
    })
    .await?;
    let reports = bench.store.reconciliations(10).await?;
    assert_eq!(reports.iter().map(|report| report.asked_by).collect::<Vec<_>>(), [AskedBy::Loss]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_troubled_comparison_is_repeated_sooner_and_a_persons_does_not_stand_for_it() -> Result<()> {
    let ms = Duration::from_millis;
    let mut plan = plan();
    plan.worker.reconcile_settle = ms(0);
    plan.worker.reconcile_interval = Duration::from_secs(8);
    let bench = Bench::idle(plan).await?;
    let report = |asked_by, complete| Reconciliation {
        id: Uuid::now_v7(),
        asked_by,
        since: None,
        started_at: Utc::now(),
        finished_at: Some(Utc::now()),
        lines_total: 1,
        lines: vec![LineReport { line: "main".into(), complete, ..Default::default() }],
    };
    bench.store.put_reconciliation(report(AskedBy::Schedule, false)).await?;
    bench.store.put_reconciliation(report(AskedBy::Person, true)).await?;
    let _worker = bench.worker()?;
    // A quarter of the interval, and not all of it.
    eventually("it is repeated", Duration::from_secs(6), || async {
        bench.store.reconciliations(10).await.is_ok_and(|all| all.len() == 3 && all[0].finished_at.is_some())
    })
    .await?;
    Ok(())
}
