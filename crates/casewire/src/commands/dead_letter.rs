//! `casewire dead-letter`: events that could not be handled. Showing one shows what somebody wrote.

use std::time::Duration;

use anyhow::{Context, bail};
use casewire_domain::DedupeId;
use casewire_store::DeadLetter;
use serde_json::json;

use crate::cli::{DeadLetterCommand, Place};
use crate::installation::Installation;
use crate::printing::say;
use crate::table::{self, visible};

/// Most dead letters listed at once.
const MOST: u64 = 200;
/// How long a worker may take to do what it was asked.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

pub async fn run(place: &Place, command: DeadLetterCommand) -> anyhow::Result<()> {
    let here = Installation::open(place).await?;
    match command {
        DeadLetterCommand::List(output) => list(&here, output.json).await,
        DeadLetterCommand::Show { id } => show(&here, &id).await,
        DeadLetterCommand::Replay { id } => replay(&here, &id).await,
    }
}

async fn list(here: &Installation, as_json: bool) -> anyhow::Result<()> {
    let letters = here.store.dead_letters(MOST).await?;
    if as_json {
        let items: Vec<_> = letters
            .iter()
            .map(|letter| {
                json!({
                    "id": letter.dedupe_id.as_str(), "kind": letter.kind.as_str(), "line": letter.line,
                    "received_at": letter.received_at, "set_aside_at": letter.handled_at, "reason": letter.reason,
                })
            })
            .collect();
        say!("{}", serde_json::to_string_pretty(&items)?)?;
        return Ok(());
    }
    let rows = letters.iter().map(|letter: &DeadLetter| {
        [
            letter.dedupe_id.to_string(),
            letter.kind.as_str().to_owned(),
            letter.line.clone(),
            letter.received_at.format("%Y-%m-%d %H:%M:%SZ").to_string(),
            letter.reason.clone(),
        ]
    });
    table::print(["ID", "KIND", "LINE", "RECEIVED", "REASON"], rows, "no dead letters")
}

async fn show(here: &Installation, id: &DedupeId) -> anyhow::Result<()> {
    let letter =
        here.store.dead_letter(id).await?.with_context(|| format!("there is no dead letter {id}"))?;
    say!("id        {id}")?;
    say!("reason    {}", letter.reason)?;
    say!("set aside {}", letter.handled_at.format("%Y-%m-%d %H:%M:%SZ"))?;
    match casewire_bus::decode(&letter.raw) {
        Ok(event) => {
            say!("received  {}", event.received_at.format("%Y-%m-%d %H:%M:%SZ"))?;
            say!("request   {} {}", event.method, event.target)?;
            say!("type      {}\n", event.content_type)?;
            say!("{}", visible(&String::from_utf8_lossy(&event.body)))?;
        }
        Err(why) => {
            say!("bytes     {} that are no event: {why}\n", letter.raw.len())?;
            say!("{}", visible(&String::from_utf8_lossy(&letter.raw)))?;
        }
    }
    Ok(())
}

async fn replay(here: &Installation, id: &DedupeId) -> anyhow::Result<()> {
    let request = here.store.request_replay(id).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if let Some(outcome) = here.store.request_outcome(request).await? {
            say!("{id}: {outcome}")?;
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    if here.store.request_begun(request).await? {
        bail!(
            "a worker has begun with it and not said what came of it: it may have ended with it, so see its log \
             before you ask again"
        );
    }
    bail!("no worker has taken the request yet; it stays, and the next worker to run does it")
}
