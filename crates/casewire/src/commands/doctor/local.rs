//! What is on this machine, and the database.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use casewire_runtime::config::Role;
use casewire_store::Error;
use chrono::Utc;

use super::clock;
use super::finding::Finding;
use super::ground::Ground;

pub const CORRECT: &str = "correct it; `casewire check-config` shows what holds";

/// How long an `up` on this machine may take to say whether it is ready.
const READY: Duration = Duration::from_secs(5);

/// The settings: the same that `check-config` looks at. A worker's where there is a database to share: it is the role
/// that needs most of what is checked here.
pub fn configuration(ground: &Ground) -> Finding {
    let (role, name) = if ground.data.is_some() { (Role::Up, "up") } else { (Role::Worker, "a worker") };
    if let Err(missing) = ground.config.require(role) {
        return Finding::wrong("configuration", format!("{missing} ({name} does not start)"), CORRECT);
    }
    match ground.config.warnings() {
        none if none.is_empty() => Finding::ok("configuration", format!("all that {name} needs is set")),
        warnings => Finding::warn("configuration", warnings.join("; "), CORRECT),
    }
}

/// The folder in which ingest keeps what the stream does not take.
pub fn spill(ground: &Ground) -> Finding {
    let config = &ground.config;
    let of_up = || ground.data.as_ref().filter(|_| config.stream.nats_url.is_some()).map(|data| data.spill());
    let Some(folder) = config.ingest.spill_dir.clone().or_else(of_up) else {
        return Finding::skipped(
            "spill",
            match config.stream.nats_url {
                Some(_) => "none: while the stream is away ingest answers 503 (`ingest.spill_dir`)",
                None => "none: the stream is on this disk itself",
            },
        );
    };
    if !folder.exists() {
        let found = format!("{} is not on this machine; ingest makes it where it runs", folder.display());
        return Finding::skipped("spill", found);
    }
    match writable(&folder) {
        Ok(()) => Finding::ok("spill", format!("{} can be written to", folder.display())),
        Err(error) => Finding::wrong(
            "spill",
            format!(
                "{} cannot be written to: {error}. Texts are lost while the stream is away",
                folder.display()
            ),
            format!("give the user that ingest runs as the folder, and room: df -h {}", folder.display()),
        ),
    }
}

/// Writes to a file and brings it to the disk, as the spill does.
fn writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(".doctor");
    let written =
        OpenOptions::new().create(true).truncate(true).write(true).open(&probe).and_then(|mut file| {
            std::io::Write::write_all(&mut file, b"casewire doctor")?;
            file.sync_all()
        });
    let removed = fs::remove_file(&probe);
    written.and(removed)
}

/// Whether the database answers, is of this version, and what time it thinks it is.
pub async fn database(ground: &Ground) -> Vec<Finding> {
    let store = match &ground.store {
        Ok(store) => store,
        Err(why) => {
            return vec![Finding::wrong("database", why.clone(), format!("{} up", ground.program))];
        }
    };
    if let Err(error) = store.check_schema().await {
        let mend = match (&error, &ground.data) {
            (Error::Schema(_), None) => format!("{} migrate", ground.program),
            (Error::Schema(_), Some(_)) => "start `casewire up` of this version on the folder".to_owned(),
            (_, None) => {
                "see `database.url`, and whether the server is up and lets this machine in".to_owned()
            }
            (_, Some(data)) => format!("see who may read {}", data.database().display()),
        };
        return vec![Finding::wrong("database", error.to_string(), mend)];
    }
    let mut findings = vec![Finding::ok("database", "it answers, and its tables are of this version")];
    let before = Utc::now();
    findings.push(match store.server_time().await {
        Ok(Some(theirs)) => clock::compare("the database", theirs, before, Utc::now()),
        Ok(None) => Finding::skipped("clock of the database", "it is this machine's"),
        Err(error) => Finding::wrong(
            "clock of the database",
            error.to_string(),
            "see whether the database takes writes: leases and locks depend on it",
        ),
    });
    findings
}

/// Whether the master key opens what is sealed.
pub async fn keys(ground: &Ground) -> Vec<Finding> {
    let copy = "put back the key this installation began with (`keys.master_key`, or master.key in the folder of `up`)";
    let key = match ground.master_key() {
        Ok(key) => key,
        Err(error) => return vec![Finding::wrong("keys", crate::sentence(&error), copy)],
    };
    let Ok(store) = &ground.store else {
        return vec![Finding::skipped("keys", "the database cannot be read")];
    };
    vec![match crate::keys::open_all(store, &key).await {
        Ok(opened) => Finding::ok("keys", format!("the master key opens all {opened} secrets of accounts")),
        Err(error) if is_unread(&error) => Finding::skipped("keys", crate::sentence(&error)),
        Err(error) => {
            let found = format!("{}: no webhook can be verified, and nothing sent", crate::sentence(&error));
            Finding::wrong("keys", found, copy)
        }
    }]
}

/// Whether it was the database that could not be read.
fn is_unread(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Error>())
}

/// Whether the `up` on the folder is ready, where it is one that is looked at.
pub async fn up(ground: &Ground) -> Vec<Finding> {
    let Some(data) = &ground.data else { return Vec::new() };
    let Some(ops) = ground.running.as_ref().and_then(|running| running.ops) else {
        let found = format!("it does not run on {}", data.path().display());
        return vec![Finding::skipped("up", found)];
    };
    let client = reqwest::Client::builder().timeout(READY).no_proxy().build();
    let asked = async { client?.get(format!("http://{ops}/readyz")).send().await };
    vec![match asked.await {
        Ok(answer) if answer.status().is_success() => Finding::ok("up", "it is ready, and so is its stream"),
        Ok(answer) => {
            let said = answer.text().await.unwrap_or_default();
            let found = format!("it is not ready: {}", said.trim());
            Finding::wrong("up", found, "see what it logged; a full disk is the usual reason: df -h")
        }
        Err(error) => {
            let found = format!("no answer from {ops}: {}", super::super::unanswered(&error));
            Finding::wrong("up", found, "see what it logged, and start it again")
        }
    }]
}
