//! With a spill: what ingest answers while the stream is away, and that all of it reaches the stream afterwards, once.

mod bounds;
mod disk;
mod ends;
mod outages;
mod refused;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use casewire_bus::{DirectoryBoard, Stream};
use casewire_domain::Event;
use casewire_runtime::config;
use casewire_runtime::ops::Check;
use casewire_testkit::eventually;
use casewire_twilio::parameters::Parameters;
use reqwest::StatusCode;

use crate::front::{Front, SOON, directory, events, text};

fn sid(n: usize) -> String {
    format!("SM{n:032x}")
}

/// A text of one of many people.
fn text_of(person: usize, n: usize) -> Parameters {
    let mut form: Parameters = text(&sid(n), "hi").iter().filter(|(name, _)| *name != "From").collect();
    form.push("From", &number(person));
    form
}

fn number(person: usize) -> String {
    format!("+1206555{person:04}")
}

/// A spill in this folder, with waits that suit a test.
fn settings(folder: &Path) -> config::Ingest {
    config::Ingest {
        spill_dir: Some(folder.join("spill")),
        spill_after: Duration::from_millis(300),
        // A disk that others keep busy is not what these stories are about.
        spill_timeout: SOON,
        probe_interval: Duration::from_millis(50),
        ..Default::default()
    }
}

/// With the line `main`.
async fn front(stream: Arc<dyn Stream>, settings: config::Ingest) -> Result<Front> {
    let front = Front::spilling(stream, settings).await?;
    front.board.publish(&directory()).await?;
    eventually("the line is known", SOON, async || front.health.readiness().iter().all(is_ok)).await?;
    Ok(front)
}

fn is_ok(check: &Check) -> bool {
    check.ok
}

/// Sends texts that must be taken.
async fn take(front: &Front, texts: std::ops::Range<usize>) -> Result<()> {
    for n in texts {
        let status = front.post("/inbound/main", &text_of(n, n)).await?.status();
        ensure!(status == StatusCode::OK, "text {n} got {status}");
    }
    Ok(())
}

/// Waits until the spill is empty, and returns all that is on the stream, which must be each of so many texts once.
async fn all_once(front: &Front, stream: &dyn Stream, texts: usize) -> Result<Vec<Event>> {
    eventually("the spill is empty", SOON, async || {
        front.metric("casewire_spill_events").is_ok_and(|events| events == "0")
            && sum(front, "casewire_spill_kept_total").ok() == sum(front, "casewire_spill_drained_total").ok()
    })
    .await?;
    let all = events(stream).await?;
    let ids: BTreeSet<_> = all.iter().map(|event| event.dedupe_id.as_str().to_owned()).collect();
    ensure!((all.len(), ids.len()) == (texts, texts), "{} events of {} texts", all.len(), ids.len());
    Ok(all)
}

/// Waits until the spill is empty; what is on the stream must be so many.
async fn events_of(front: &Front, stream: &dyn Stream, texts: usize) -> Result<Vec<Event>> {
    let drained = async || sum(front, "casewire_spill_drained_total").ok() == Some(texts as u64);
    eventually("all was drained", SOON, drained).await?;
    let all = events(stream).await?;
    ensure!(all.len() == texts, "{all:?}");
    Ok(all)
}

async fn events_of_all(front: &Front, texts: usize) -> Result<()> {
    let drained = async || sum(front, "casewire_spill_drained_total").ok() == Some(texts as u64);
    eventually("all was drained", SOON, drained).await
}

/// A counter over all its labels.
fn sum(front: &Front, name: &str) -> Result<u64> {
    let text = front.metrics.encode()?;
    let values =
        text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
}

fn refused(front: &Front, reason: &str) -> Result<String> {
    front.metric(&format!("casewire_spill_refused_total{{reason=\"{reason}\"}}"))
}
