//! The stream on NATS: whether it is set up as configured, what time it is there, and what hangs on its board.

use std::time::Duration;

use casewire_bus::{Difference, DirectoryBoard, JetStream, PrepareError};
use chrono::Utc;

use super::clock;
use super::finding::Finding;
use super::ground::Ground;
use crate::wiring;

/// How long connecting may take, and the board to show what hangs on it.
const CONNECTING: Duration = Duration::from_secs(5);
const SHOWING: Duration = Duration::from_secs(5);

pub async fn all(ground: &Ground) -> Vec<Finding> {
    if ground.config.stream.nats_url.is_none() {
        // A running `up` has its file alone, and says whether it is ready; else the configuration names what is missing.
        return Vec::new();
    }
    let settings = "see `stream.nats_url` with its user and certificates, and whether the server is up";
    let stream = match wiring::jetstream(&ground.config.stream).await {
        Ok(stream) => stream,
        Err(error) => return vec![Finding::wrong("stream", crate::sentence(&error), settings)],
    };
    if !stream.wait_connected(CONNECTING).await {
        let found =
            format!("no connection within {} s: texts go to the spill, or get 503", CONNECTING.as_secs());
        return vec![Finding::wrong("stream", found, settings)];
    }
    let (set_up, clock, board) = tokio::join!(set_up(ground, &stream), time(&stream), board(ground, &stream));
    [vec![set_up], clock, vec![board]].concat()
}

async fn set_up(ground: &Ground, stream: &JetStream) -> Finding {
    match stream.inspect().await {
        Ok(()) => Finding::ok("stream", "streams, consumers and bucket are as configured"),
        Err(PrepareError::Drift(drift)) => {
            Finding::wrong("stream", Difference::joined(&drift), mend(&ground.program, &drift))
        }
        Err(error) => Finding::wrong("stream", error.to_string(), "see what the NATS server logged"),
    }
}

/// What mends all that differs: what a person must decide comes first, since nothing is changed before that is done.
fn mend(program: &str, drift: &[Difference]) -> String {
    if drift.iter().any(|it| matches!(it, Difference::Other(_))) {
        format!(
            "change the setting, or the stream: nats stream edit ({program} migrate refuses what differs so)"
        )
    } else if drift.iter().any(|it| matches!(it, Difference::Limit(_))) {
        format!("{program} migrate, which changes the limit")
    } else {
        format!("{program} migrate")
    }
}

async fn time(stream: &JetStream) -> Vec<Finding> {
    let before = Utc::now();
    match stream.server_time().await {
        Ok(Some(theirs)) => vec![clock::compare("the stream", theirs, before, Utc::now())],
        Ok(None) => vec![Finding::skipped(
            "clock of the stream",
            "the server does not tell (nats-server before 2.10)",
        )],
        // Told already.
        Err(_) => Vec::new(),
    }
}

/// Whether ingest can know of every account and line.
async fn board(ground: &Ground, stream: &JetStream) -> Finding {
    let Ok(store) = &ground.store else {
        return Finding::skipped("directory", "the database cannot be read");
    };
    let ours = match store.directory_version().await {
        Ok(ours) => ours,
        Err(error) => return Finding::skipped("directory", format!("the database cannot be read: {error}")),
    };
    let mut shown = stream.watch();
    let hangs = tokio::time::timeout(SHOWING, shown.wait_for(Option::is_some)).await;
    let theirs = hangs.ok().and_then(Result::ok).and_then(|shown| Some(shown.as_ref()?.version));
    let mend = format!("start a worker, which publishes it; or {} migrate", ground.program);
    match theirs {
        Some(theirs) if theirs == ours => {
            Finding::ok("directory", "ingest has the accounts and lines of now")
        }
        Some(theirs) if theirs > ours => Finding::wrong(
            "directory",
            "ingest has a newer one than the database: that was brought back from a backup, and nobody said so",
            format!("{} restore --in-place --taken-at TIME", ground.program),
        ),
        Some(_) => {
            Finding::warn("directory", "ingest has an older one: new lines get 403 until a worker runs", mend)
        }
        None => Finding::wrong("directory", "none hangs on the stream: ingest answers every text 503", mend),
    }
}
