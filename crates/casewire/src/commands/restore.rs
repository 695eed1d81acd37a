//! `casewire restore`: brings a backup back, so that nothing is sent again that may have been sent since it was taken.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use casewire_runtime::config::Config;
use casewire_store::{Config as Database, Store, check_file};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use crate::backup::{self, DATABASE, Note, RUNNING, STREAM, size_of, watched};
use crate::cli::{Place, RestoreArgs};
use crate::data_dir::DataDir;
use crate::installation::{self, Installation};
use crate::printing::say;
use crate::{keys, program};

/// What SQLite puts beside a file, and the file itself.
const ENDINGS: [&str; 3] = ["-wal", "-shm", ""];

pub async fn run(place: &Place, args: &RestoreArgs) -> anyhow::Result<()> {
    match (&args.from, args.taken_at) {
        (Some(from), _) => folder(place, args, from).await,
        (None, Some(taken_at)) => in_place(place, taken_at).await,
        (None, None) => {
            bail!("--from names the backup; or --in-place with --taken-at, where the database is back")
        }
    }
}

/// Marks a database that was brought back by other means.
async fn in_place(place: &Place, taken_at: DateTime<Utc>) -> anyhow::Result<()> {
    let here = Installation::open(place).await?;
    let data = DataDir::new(&here.config.data.dir);
    let embedded = here.config.database.url.is_none();
    let _held = if embedded { Some(free(&data)?) } else { None };
    let uncertain = here.store.mark_restored(taken_at).await?;
    here.store.close().await;
    say!("The database is marked as one of {}.", taken_at.format("%Y-%m-%d %H:%M:%SZ"))?;
    tell(uncertain)
}

async fn folder(place: &Place, args: &RestoreArgs, from: &Path) -> anyhow::Result<()> {
    let config = installation::config(place, None)?;
    if config.database.url.is_some() {
        bail!(
            "`casewire restore --from` is for the folder of `casewire up`; bring this database back with pg_restore, \
             and then say so with `casewire restore --in-place --taken-at TIME`"
        );
    }
    let (backup, note) = backup::find(from)?;
    let data = DataDir::new(&config.data.dir);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data.path())
        .with_context(|| format!("{} cannot be made", data.path().display()))?;
    let _held = free(&data)?;
    if is_in_use(&data) && !args.force {
        bail!(
            "{} holds an installation already: choose another folder with --data-dir, or have its files moved aside \
             with --force",
            data.path().display()
        );
    }
    let ready = make_ready(&config, &data, &backup, &note, args.master_key_file.as_deref()).await;
    if ready.is_err() {
        // Nothing of what is there was touched; what is left would look like a restore that was cut off.
        let _ = fs::remove_dir_all(data.restoring());
    }
    let (uncertain, key) = ready?;
    let aside =
        put_in_place(&data).with_context(|| format!("{} cannot be restored", data.path().display()))?;
    told(place, &data, &backup, &note, aside.as_deref(), key)?;
    tell(uncertain)
}

fn free(data: &DataDir) -> anyhow::Result<crate::data_dir::Held> {
    data.try_hold()?.with_context(|| {
        format!("`casewire up` runs on {}: stop it, and bring the backup back then", data.path().display())
    })
}

fn is_in_use(data: &DataDir) -> bool {
    [data.database(), data.stream()].iter().any(|file| size_of(file) > 0)
}

/// Copies the backup beside what is there, and makes of it what may be started: of this version, marked as restored.
/// How many texts are uncertain, and whether there is a master key.
async fn make_ready(
    config: &Config,
    data: &DataDir,
    backup: &Path,
    note: &Note,
    key_file: Option<&Path>,
) -> anyhow::Result<(u64, bool)> {
    let ready = data.restoring();
    // Of a restore that was not finished.
    let _ = fs::remove_dir_all(&ready);
    let made = DirBuilder::new().mode(0o700).create(&ready);
    made.with_context(|| format!("{} cannot be made", ready.display()))?;
    for name in [DATABASE, STREAM, RUNNING].iter().filter(|name| backup.join(name).exists()) {
        let (source, copy) = (backup.join(name), ready.join(name));
        let (size, to) = (size_of(&source), copy.clone());
        let copying = tokio::task::spawn_blocking(move || fs::copy(source, to));
        let copied = watched("copying", &copy, size, copying).await?;
        copied.with_context(|| format!("{} cannot be copied", backup.join(name).display()))?;
        if *name != RUNNING {
            watched("checking", &copy, size, check_file(&copy)).await?;
        }
    }
    let database = ready.join(DATABASE);
    let store = Store::open(&Database::sqlite(&database)).await?;
    store.migrate().await.with_context(|| format!("{} cannot be used", backup.display()))?;
    let key = master_key(config, data, key_file)?;
    if let Some(key) = &key {
        keys::check(&store, &keys::parse(key)?).await?;
    }
    let uncertain = store.mark_restored(note.taken_at).await?;
    store.close().await;
    if let (Some(key), Some(_)) = (&key, key_file) {
        data.put_master_key(key)?;
    }
    backup::settle(&ready).with_context(|| format!("{} cannot be brought to the disk", ready.display()))?;
    Ok((uncertain, key.is_some()))
}

/// The text of the key that `up` will use, where there is one.
fn master_key(config: &Config, data: &DataDir, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    match (file, &config.keys.master_key) {
        (Some(file), _) => Ok(Some(super::secret(file)?.expose_secret().to_owned())),
        (None, Some(key)) => Ok(Some(key.expose_secret().to_owned())),
        (None, None) => data.master_key(),
    }
}

/// Moves the old files aside and the new ones in, the database last: without it nothing starts here. Where the old
/// ones are, if there were any.
fn put_in_place(data: &DataDir) -> std::io::Result<Option<PathBuf>> {
    let databases =
        [STREAM, DATABASE].into_iter().flat_map(|name| ENDINGS.map(|ending| format!("{name}{ending}")));
    let names: Vec<_> = [RUNNING.to_owned()].into_iter().chain(databases).collect();
    let old: Vec<_> = names.iter().filter(|name| data.path().join(name).exists()).collect();
    let aside = data.path().join(format!("before-restore-{}", Utc::now().format("%Y%m%dT%H%M%S%3fZ")));
    if !old.is_empty() {
        DirBuilder::new().mode(0o700).create(&aside)?;
    }
    for name in &old {
        fs::rename(data.path().join(name), aside.join(name))?;
    }
    backup::sync(data.path())?;
    for name in &names {
        let ready = data.restoring().join(name);
        if ready.exists() {
            fs::rename(ready, data.path().join(name))?;
        }
    }
    backup::sync(data.path())?;
    fs::remove_dir_all(data.restoring())?;
    Ok((!old.is_empty()).then_some(aside))
}

fn told(
    place: &Place,
    data: &DataDir,
    backup: &Path,
    note: &Note,
    aside: Option<&Path>,
    key: bool,
) -> anyhow::Result<()> {
    let taken = note.taken_at.format("%Y-%m-%d %H:%M:%SZ");
    say!("{} of {taken} is restored into {}.", backup.display(), data.path().display())?;
    if let Some(aside) = aside {
        say!("What was there before is in {}.", aside.display())?;
    }
    if !key {
        say!("Next, put your copy of the master key at {}.", data.master_key_file().display())?;
    }
    say!("Then start it: {} up", program::beside(place, data.path()))
}

fn tell(uncertain: u64) -> anyhow::Result<()> {
    say!(
        "{uncertain} texts were on their way and may have been sent since. None is sent again by itself: each is"
    )?;
    say!(
        "looked for on Twilio's list, and what is not found there waits for a person (`casewire case list`)."
    )?;
    say!(
        "What came in since is brought back from Twilio's list at the start; it is not answered automatically,"
    )?;
    say!(
        "since it may have been. Replies that agents wrote since then are with the customers and not in here."
    )
}
