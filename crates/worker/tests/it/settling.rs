//! Uncertain sends for which no callback comes: the provider's list tells, or a person must.

use std::time::Duration;

use anyhow::{Context, Result};
use casewire_domain::DeliveryStatus::{self, Delivered, Queued};
use casewire_domain::command::Command;
use casewire_domain::decide::Outcome;
use casewire_domain::outbox::OutboxState::Uncertain;
use casewire_domain::settle::Verdict;
use casewire_simulator::{Account, Fault, Rule, Status};
use casewire_store::Claim;
use casewire_store::view::MessageView;
use casewire_testkit::eventually;
use casewire_twilio::{rest, webhook};
use sqlx::Executor;

use crate::bench::{Bench, Plan, Running, SOON};
use crate::words::{ACCOUNT, HEATHER, IAN, LINE, TOKEN, number, reply, texted};

/// What leaves open whether the provider took the text, which it did.
const TAKEN: [Fault; 4] = [
    Fault::ErrorAfterAccepting,
    Fault::HangAfterAccepting,
    Fault::ResetAfterAccepting,
    Fault::TruncatedAnswer,
];

/// The three looks within two seconds, after an attempt of at most one.
fn quick() -> Plan {
    let (mut plan, ms) = (Plan::default(), Duration::from_millis);
    plan.sender.settle_first = ms(1_100);
    plan.sender.settle_second = ms(1_500);
    plan.sender.settle_last = ms(2_000);
    plan.sender.settle_poll = ms(50);
    plan.sender.settle_retry = ms(100);
    plan
}

fn unheard() -> Rule {
    Rule::always(Fault::DropCallbacks)
}

impl Bench {
    async fn ours(&self, person: &str) -> Result<Vec<MessageView>> {
        let case = self.case_of(person).await?.context("a case")?;
        Ok(case.messages.into_iter().filter(|it| it.message.direction.as_str() == "outbound").collect())
    }

    /// Waits until the last of our texts to this person is held for a person.
    async fn held(&self, person: &str) -> Result<MessageView> {
        eventually("it is held", SOON, || async {
            self.ours(person).await.is_ok_and(|ours| ours.last().is_some_and(|it| it.held))
        })
        .await?;
        self.ours(person).await?.pop().context("a text")
    }

    async fn decides(&self, person: &str, verdict: Verdict) -> Result<Outcome> {
        let case = self.case_of(person).await?.context("a case")?.case.number;
        let message_id = self.ours(person).await?.pop().context("a text")?.message.id;
        let actor = "agent:test".to_owned();
        Ok(self.store.handle_one(Command::Resolve { case, message_id, verdict, actor }).await?)
    }

    /// The line `main` rather texts twice than never.
    async fn line_resends(&self) -> Result<()> {
        let mut intruder = self.intruder().await?;
        intruder.execute("update line set when_uncertain = 'resend'").await?;
        intruder.execute("update installation set directory_version = directory_version + 1").await?;
        Ok(())
    }

    /// A minute passes for uncertain texts: none holds its conversation's later ones any more.
    async fn a_minute_later(&self) -> Result<()> {
        self.intruder()
            .await?
            .execute("update outbox set due_at = queued_at where state = 'uncertain'")
            .await?;
        Ok(())
    }
}

fn settled(worker: &Running, by: &str) -> Result<f64> {
    worker.metric(&format!("casewire_uncertain_settled_total{{by=\"{by}\"}}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_callback_tells_the_list_does() -> Result<()> {
    let (bench, worker) = Bench::with(quick()).await?;
    for (i, fault) in TAKEN.into_iter().enumerate() {
        bench.faults(vec![Rule::next(1, fault.clone()), unheard()])?;
        let person = crate::words::person(i);
        bench.text(&person, "my heater is broken").await?;
        bench.stands(&person, &[(Delivered, None)]).await.with_context(|| format!("{fault:?}"))?;
        assert_eq!(bench.accepted_for(&person).len(), 1, "{fault:?}");
    }
    eventually("it is counted", SOON, || async { settled(&worker, "list").is_ok_and(|by| by == 4.0) })
        .await?;
    let case = bench.case_soon(&crate::words::person(0)).await?;
    let entry = case.trail.iter().find(|entry| entry.kind == "send_accepted").context("a trail")?;
    assert_eq!(entry.why["rule"], "provider_list");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_lags_refuses_or_fails_is_read_again() -> Result<()> {
    let (bench, _worker) = Bench::with(quick()).await?;
    for (person, fault) in [
        (HEATHER, Rule::next(1, Fault::LateOnList { after_ms: 1_300 })),
        (IAN, Rule::next(3, Fault::ListTooManyRequests { retry_after_s: None })),
        ("+12065550102", Rule::next(12, Fault::ListError)),
    ] {
        bench.faults(vec![Rule::next(1, Fault::ErrorAfterAccepting), unheard(), fault.clone()])?;
        bench.text(person, "my heater is broken").await?;
        bench.stands(person, &[(Delivered, None)]).await.with_context(|| format!("{fault:?}"))?;
        assert_eq!(bench.accepted_for(person).len(), 1, "{fault:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_whose_list_nobody_can_read_is_held_in_time_and_found_once_somebody_can() -> Result<()> {
    let (bench, _worker) = Bench::with(quick()).await?;
    bench.faults(vec![
        Rule::next(1, Fault::ErrorAfterAccepting),
        unheard(),
        Rule::always(Fault::ListError),
    ])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.held(HEATHER).await?;
    let case = bench.case_soon(HEATHER).await?;
    let entry = case.trail.iter().find(|entry| entry.kind == "send_unsettled").context("a trail")?;
    assert_eq!(entry.why["because"], "list_unreadable");
    bench.faults(Vec::new())?;
    bench.stands(HEATHER, &[(Delivered, None)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_an_account_that_is_refused_is_held_in_time_too() -> Result<()> {
    let mut plan = quick();
    // Time enough to refuse the account before the first look. Once it is refused, nobody asks again during this test.
    [plan.sender.settle_first, plan.sender.settle_second] = [Duration::from_secs(4); 2];
    plan.sender.settle_last = Duration::from_secs(5);
    plan.sender.refused_pause = Duration::from_secs(600);
    let (bench, _worker) = Bench::with(plan).await?;
    let people = [HEATHER, IAN];
    bench.faults(vec![Rule::next(2, Fault::ErrorAfterAccepting), unheard()])?;
    for person in people {
        bench.text(person, "my heater is broken").await?;
        bench.stands(person, &[(Queued, Some(Uncertain))]).await?;
    }
    bench.simulator.set_account(ACCOUNT.parse()?, Account::with_token("0f".repeat(16)));
    for person in people {
        bench.held(person).await?;
    }
    assert_eq!(bench.accepted().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_on_no_list_is_held_until_a_person_decides() -> Result<()> {
    let (bench, worker) = Bench::with(quick()).await?;
    for (person, verdict, sent, status) in [
        (HEATHER, Verdict::SendAgain, 1, Delivered),
        (IAN, Verdict::Arrived, 0, DeliveryStatus::Sent),
        ("+12065550102", Verdict::DoNotSend, 0, DeliveryStatus::Canceled),
    ] {
        bench.faults(vec![Rule::next(1, Fault::ErrorBeforeAccepting)])?;
        bench.text(person, "my heater is broken").await?;
        bench.held(person).await?;
        assert_eq!(bench.accepted_for(person).len(), 0);
        assert_eq!(bench.standing(person).await?, [(Queued, Some(Uncertain))]);
        assert_eq!(bench.decides(person, verdict).await?, Outcome::Resolved);
        bench.stands(person, &[(status, None)]).await?;
        assert_eq!(bench.accepted_for(person).len(), sent, "{verdict:?}");
        let again = bench.decides(person, verdict).await?;
        assert!(matches!(again, Outcome::Refused(_)), "{again:?}");
    }
    assert_eq!(worker.metric("casewire_uncertain_unsettled_total")?, 3.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_wants_it_sends_again_what_is_on_no_list() -> Result<()> {
    let (bench, worker) = Bench::with(quick()).await?;
    bench.line_resends().await?;
    bench.faults(vec![Rule::next(1, Fault::ErrorBeforeAccepting)])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Queued, Some(Uncertain))]).await?;
    bench.a_minute_later().await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert_eq!((bench.accepted_for(HEATHER).len(), settled(&worker, "resend")?), (1, 1.0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_double_that_a_lying_list_caused_becomes_visible() -> Result<()> {
    let (bench, worker) = Bench::with(quick()).await?;
    bench.line_resends().await?;
    let silent = |fault| Rule { statuses: vec![Status::Sent], ..Rule::next(1, fault) };
    let late = Rule {
        statuses: vec![Status::Delivered],
        ..Rule::next(1, Fault::DelayCallbacks { min_ms: 5_000, max_ms: 5_000 })
    };
    let lie = [Rule::next(1, Fault::ErrorAfterAccepting), Rule::next(1, Fault::MissingFromList)];
    bench.faults([&lie[..], &[silent(Fault::DropCallbacks), late]].concat())?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Queued, Some(Uncertain))]).await?;
    bench.a_minute_later().await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert_eq!(bench.accepted_for(HEATHER).len(), 2, "the list lied");
    let counted =
        || async { worker.metric("casewire_duplicate_send_detected_total").is_ok_and(|n| n == 1.0) };
    eventually("the double is counted", SOON, counted).await?;
    let case = bench.case_soon(HEATHER).await?;
    assert!(case.trail.iter().any(|entry| entry.kind == "duplicate_send_detected"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_again_while_a_text_to_the_person_belongs_to_nobody() -> Result<()> {
    let (bench, _worker) = Bench::with(quick()).await?;
    bench.line_resends().await?;
    bench.faults(vec![Rule::next(1, Fault::ErrorBeforeAccepting)])?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Queued, Some(Uncertain))]).await?;
    // Another program on the same account texts the same person.
    let _ = send(&bench, HEATHER, "your parcel is here", "https://elsewhere.example/status").await?;
    bench.a_minute_later().await?;
    bench.held(HEATHER).await?;
    assert_eq!(bench.accepted_for(HEATHER), ["your parcel is here"]);
    Ok(())
}

/// POSTs a text behind the worker's back.
async fn send(bench: &Bench, to: &str, body: &str, callback: &str) -> Result<rest::SendOutcome> {
    let credentials = rest::Credentials { account_sid: ACCOUNT.to_owned(), auth_token: TOKEN.into() };
    let (from, to, body) = (number(LINE), number(to), casewire_domain::Text::new(body));
    let text = rest::Send { from: &from, to: &to, body: &body, status_callback: callback };
    Ok(bench.provider_at(&bench.gate.url)?.send(&credentials, &text).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_whose_process_died_after_the_provider_took_it_is_found() -> Result<()> {
    let bench = Bench::idle(quick()).await?;
    bench.faults(vec![unheard()])?;
    bench.store.handle_one(texted("main", HEATHER, "my heater is broken")).await?;
    let claim = Claim { most: 1, lease: Duration::from_millis(300), paused: Vec::new(), slowed: Vec::new() };
    let claimed = bench.store.claim(claim).await?.messages.pop().context("a text")?;
    let callback = webhook::status_url("https://desk.example", "main", claimed.message_id, claimed.attempt);
    // Another process sent it, and died before it could tell what came of it.
    drop(send(&bench, HEATHER, claimed.body.reveal(), &callback).await?);
    let worker = bench.worker()?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    assert_eq!((bench.accepted().len(), settled(&worker, "list")?), (1, 1.0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_equal_texts_of_which_one_may_be_missing_are_never_mistaken_for_each_other() -> Result<()> {
    let (bench, _worker) = Bench::with(quick()).await?;
    bench.text(HEATHER, "my heater is broken").await?;
    bench.stands(HEATHER, &[(Delivered, None)]).await?;
    let case = bench.case_soon(HEATHER).await?.case.number;
    // The first is never taken; the second is, and no callback tells of it.
    bench.faults(vec![
        Rule::next(1, Fault::ErrorBeforeAccepting),
        Rule::next(1, Fault::ErrorAfterAccepting),
        unheard(),
    ])?;
    bench.store.handle_one(reply(case, "on our way")).await?;
    bench.stands(HEATHER, &[(Delivered, None), (Queued, Some(Uncertain))]).await?;
    bench.a_minute_later().await?;
    bench.store.handle_one(reply(case, "on our way")).await?;
    bench.held(HEATHER).await?;
    let ours = bench.ours(HEATHER).await?;
    assert!(
        ours[1..].iter().all(|it| it.held && it.message.provider_sid.is_none()),
        "which it was, nobody knows"
    );
    assert_eq!(bench.accepted_for(HEATHER).len(), 2, "nothing is sent again");
    Ok(())
}
