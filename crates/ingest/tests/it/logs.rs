//! What is written down of a request: that it came and how it ended, and nothing that somebody wrote.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use casewire_bus::DirectoryBoard;
use casewire_runtime::config::{self, Config};
use casewire_runtime::telemetry::{Guard, Identity, subscriber};
use casewire_testkit::eventually;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature;
use reqwest::{Method as Verb, StatusCode};
use tracing::Dispatch;
use tracing_subscriber::util::SubscriberInitExt;

use crate::fickle::{Fickle, Mood};
use crate::front::{ACCOUNT, FORM, Front, SID, SOON, TOKEN, directory, signed, text};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where everything goes that is logged; the guard must outlive the subscriber.
fn logging() -> Result<(Sink, Dispatch, Guard)> {
    let level = ("CASEWIRE_TELEMETRY__LOG_FILTER".to_owned(), "trace".to_owned());
    let settings = Config::load(None, [level].into_iter(), Config::default())?.telemetry;
    let sink = Sink::default();
    let writer = sink.clone();
    let identity = Identity { role: "ingest", version: "0", revision: "unknown" };
    let (subscriber, guard) = subscriber(&settings, identity, false, move || writer.clone())?;
    Ok((sink, subscriber.into(), guard))
}

/// Everything that is logged in this process from now on, by whichever thread.
fn everything_logged() -> Result<Sink> {
    let (sink, subscriber, guard) = logging()?;
    subscriber.try_init()?;
    // It must outlive the subscriber, which lives as long as the process.
    std::mem::forget(guard);
    Ok(sink)
}

#[tokio::test]
async fn a_request_leaves_its_outcome_and_trace_and_nothing_that_was_written_in_it() -> Result<()> {
    let sink = everything_logged()?;
    let (front, stream) = Front::start().await?;
    let secrets =
        ["canary-in-the-body", "+12065550177", "canary-in-the-query", "canary-city", "canary-line", TOKEN];
    let pairs = [
        ("MessageSid", SID),
        ("AccountSid", ACCOUNT),
        ("From", secrets[1]),
        ("To", "+12065550199"),
        ("Body", secrets[0]),
        ("FromCity", secrets[3]),
    ];
    let form: Parameters = pairs.into_iter().collect();
    let target = format!("/inbound/main?own={}", secrets[2]);
    let callers = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let signature = signed(&target, &form, TOKEN);
    let request =
        front.request(Verb::POST, &target).header("content-type", FORM).header("traceparent", callers);
    let answer = request.header(signature::HEADER, &signature).body(form.encode()).send().await?;
    assert_eq!(answer.status(), StatusCode::OK);
    for target in ["/inbound/main", "/inbound/canary-line"] {
        assert_eq!(front.post_signed(target, &form, &signature).await?.status(), StatusCode::FORBIDDEN);
    }

    let events = stream.events().await?;
    let trace = events[0].trace.as_ref().context("a trace")?;
    assert!(
        !trace.as_str().contains("0af7651916cd43dd8448eb211c80319c"),
        "the caller does not choose our trace"
    );

    let logged = String::from_utf8_lossy(&sink.bytes()).into_owned();
    let refusals: Vec<_> = logged.lines().filter(|line| line.contains("webhook_refused")).collect();
    for line in ["main", "unknown"] {
        let named = format!("\"line\":\"{line}\"");
        assert!(refusals.iter().any(|refusal| refusal.contains(&named)), "{named} in {refusals:#?}");
    }
    let metrics = front.metrics.encode()?;
    for secret in secrets.iter().chain([&signature.as_str()]) {
        assert!(!logged.contains(secret), "{secret} was logged");
        assert!(!metrics.contains(secret), "{secret} is in a metric");
    }
    Ok(())
}

#[tokio::test]
async fn an_ingest_that_ends_with_texts_in_its_spill_says_how_many() -> Result<()> {
    let (folder, stream) = (tempfile::tempdir()?, Fickle::start(1).await?);
    let settings = config::Ingest { spill_dir: Some(folder.path().join("spill")), ..Default::default() };
    let front = Front::spilling(stream.clone(), settings).await?;
    front.board.publish(&directory()).await?;
    stream.all(Mood::Away);
    let known = async || front.health.readiness().iter().all(|check| check.ok);
    eventually("the line is known", SOON, known).await?;
    for n in 0..3 {
        let form = text(&format!("SM{n:032x}"), "canary-in-the-spill");
        assert_eq!(front.post("/inbound/main", &form).await?.status(), StatusCode::OK);
    }
    // By this thread, which is the one that ends it.
    let (sink, subscriber, _guard) = logging()?;
    let _logging = subscriber.set_default();
    front.end().await?;
    let logged = String::from_utf8_lossy(&sink.bytes()).into_owned();
    let left = logged.lines().find(|line| line.contains("spill_left")).context(logged.clone())?;
    assert!(left.contains("ERROR") && left.contains("\"events\":3"), "{left}");
    assert!(!logged.contains("canary"), "{logged}");
    Ok(())
}
