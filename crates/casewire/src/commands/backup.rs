//! `casewire backup`: a consistent copy of the folder of `up`, while it runs.
//!
//! First the stream, then the database: an event leaves the stream only once the database has what became of it, so
//! that what was answered before the backup began is in one of the two, or in both, where the second time has no effect.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use casewire_runtime::config::Config;
use casewire_store::{COPIED, Store, check_file};
use chrono::Utc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::backup::{self, DATABASE, Note, RUNNING, STREAM, Unfinished, size_of, watched};
use crate::cli::{BackupArgs, Place};
use crate::data_dir::DataDir;
use crate::printing::{complain, say};
use crate::{installation, wiring};

/// How long a running `up` may take to begin to copy its stream, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);

pub async fn run(place: &Place, args: &BackupArgs) -> anyhow::Result<()> {
    let config = installation::config(place, None)?;
    if config.database.url.is_some() {
        bail!(
            "`casewire backup` is for the folder of `casewire up`; this database has tools of its own: \
             pg_dump --format=custom (see docs/backup.md, which also tells what to do after pg_restore)"
        );
    }
    let data = DataDir::new(&config.data.dir);
    if !data.database().exists() {
        bail!("there is no casewire database in {}: name its folder with --data-dir", data.path().display());
    }
    let taken_at = Utc::now();
    let unfinished = Unfinished::begin(&args.to, taken_at)?;
    let note = match fill(&config, &data, &unfinished).await {
        Ok(stream) => Note::new(taken_at, stream),
        Err(error) => {
            unfinished.give_up();
            return Err(error);
        }
    };
    let done = unfinished.finish(&note)?;
    tell(&done, &note, &data)?;
    // The backup is there all the same.
    if let Err(why) = data.record_backup(taken_at) {
        complain(format_args!("casewire: a running `up` does not learn of it: {why:#}"));
    }
    if let Some(keep) = args.keep {
        let gone = backup::forget(&args.to, keep.get())?;
        if gone > 0 {
            say!("{gone} older ones are removed, {keep} are kept.")?;
        }
    }
    Ok(())
}

/// Copies and checks everything; whether the stream was among it.
async fn fill(config: &Config, data: &DataDir, into: &Unfinished) -> anyhow::Result<bool> {
    // Not `Installation`: a database that this version has still to migrate is what one wants a backup of.
    let unusable = || installation::unusable(config, data.path());
    let store = Store::open(&wiring::database(config, Some(data))).await.with_context(unusable)?;
    let stream = config.stream.nats_url.is_none() && data.stream().exists();
    if stream {
        copy_stream(config, data, &store, &into.file(STREAM)).await?;
        check_file(&into.file(STREAM)).await?;
    }
    let copy = into.file(DATABASE);
    let size = size_of(&data.database());
    watched("database", &copy, size, store.copy_to(&copy)).await.with_context(unusable)?;
    watched("checking", &copy, size, check_file(&copy)).await?;
    if data.running_file().exists() {
        std::fs::copy(data.running_file(), into.file(RUNNING)).context("up.json cannot be copied")?;
    }
    store.close().await;
    Ok(stream)
}

/// The stream's file is one process's alone: a running `up` is asked for a copy, else it is opened here.
async fn copy_stream(config: &Config, data: &DataDir, store: &Store, to: &Path) -> anyhow::Result<()> {
    let Some(_held) = data.try_hold()? else {
        let id = store.request_stream_copy().await?;
        let made = data.stream_copy(id);
        watched("stream", &made, size_of(&data.stream()), answered(data, store, id)).await?;
        // Perhaps to another disk.
        let moved = std::fs::copy(&made, to).and_then(|_| std::fs::remove_file(&made));
        return moved.with_context(|| format!("{} cannot be moved to the backup", made.display()));
    };
    let stream = wiring::embedded(&config.stream, data).await?;
    let copied = watched("stream", to, size_of(&data.stream()), stream.copy_to(to)).await;
    stream.close().await;
    Ok(copied?)
}

/// Waits until the running `up` has made the copy.
async fn answered(data: &DataDir, store: &Store, id: Uuid) -> anyhow::Result<()> {
    let asked = Instant::now();
    loop {
        match store.request_outcome(id).await? {
            Some(outcome) if outcome == COPIED => return Ok(()),
            Some(why) => bail!("the running `casewire up` cannot copy its stream: {why}"),
            None if asked.elapsed() > PATIENCE && !store.request_begun(id).await? => bail!(
                "the running `casewire up` does not answer: is it of an older version, or just starting or ending?"
            ),
            None if data.try_hold()?.is_some() => {
                bail!("`casewire up` ended before it had copied its stream: run this again")
            }
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn tell(done: &Path, note: &Note, data: &DataDir) -> anyhow::Result<()> {
    say!("{}", done.display())?;
    say!("It is whole, checked and on the disk. It holds customers' texts and numbers, readable.")?;
    if !note.stream {
        say!("The stream is on NATS and not in it: what it holds is found again from Twilio's list.")?;
    }
    let key = data.master_key_file();
    if key.exists() {
        say!(
            "The master key is NOT in it. Keep a copy of {} elsewhere: without it a restored",
            key.display()
        )?;
        say!("folder cannot be used.")
    } else {
        say!("The master key (`keys.master_key`) is NOT in it: without it a restored folder cannot be used.")
    }
}
