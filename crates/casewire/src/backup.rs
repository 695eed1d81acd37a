//! A backup as it lies on a disk: a folder with the database, the stream, and a note about both.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::data_dir;

/// The names of what is in one.
pub const DATABASE: &str = "casewire.db";
pub const STREAM: &str = "stream.db";
pub const RUNNING: &str = "up.json";
const NOTE: &str = "backup.json";

/// How the folders are called, with the time; and what is added until one is complete.
const PREFIX: &str = "casewire-";
const UNFINISHED: &str = ".unfinished";

/// The form of the folder, which a later version may change.
const FORMAT: u32 = 1;

/// How often a bar looks how far a copy has come.
const LOOK: Duration = Duration::from_millis(100);

/// What is noted about a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    format: u32,
    /// The version that made it.
    pub casewire: String,
    /// What happened from then on is not, or not all, in it.
    pub taken_at: DateTime<Utc>,
    /// Whether the stream is in it; on NATS it is not.
    pub stream: bool,
    /// For whoever finds the folder.
    about: String,
}

impl Note {
    pub fn new(taken_at: DateTime<Utc>, stream: bool) -> Self {
        Self {
            format: FORMAT,
            casewire: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at,
            stream,
            about: "Texts and numbers of customers, readable. The auth tokens are sealed with the installation's \
                    master key, which is NOT in here: without it `casewire up` does not start on a restored folder."
                .to_owned(),
        }
    }
}

/// A backup that is being made.
pub struct Unfinished {
    folder: PathBuf,
    done: PathBuf,
}

impl Unfinished {
    /// Makes a folder of this time for its owner alone.
    pub fn begin(among: &Path, at: DateTime<Utc>) -> anyhow::Result<Self> {
        let done = among.join(format!("{PREFIX}{}", at.format("%Y%m%dT%H%M%SZ")));
        let folder = done.with_extension(&UNFINISHED[1..]);
        if done.exists() {
            bail!("{} is there already: a backup of this second", done.display());
        }
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(among);
        let made = made.and_then(|()| builder.recursive(false).create(&folder));
        made.with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { folder, done })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Brings it to the disk, whole, and gives it its name; where it is then.
    pub fn finish(self, note: &Note) -> anyhow::Result<PathBuf> {
        data_dir::write(&self.file(NOTE), &serde_json::to_string_pretty(note)?)?;
        let finished = || -> io::Result<()> {
            settle(&self.folder)?;
            fs::rename(&self.folder, &self.done)?;
            sync(&self.done.join(".."))
        };
        finished().with_context(|| format!("{} cannot be finished", self.done.display()))?;
        Ok(self.done)
    }

    /// Removes what there is of it.
    pub fn give_up(self) {
        // What is left says in its name that it is none.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Brings every file of a folder to the disk, for its owner alone, and the folder.
pub fn settle(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let file = File::open(entry?.path())?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.sync_all()?;
    }
    sync(folder)
}

/// Brings the names in a folder to the disk.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A backup that is there, with its note: this folder, or the newest in it.
pub fn find(from: &Path) -> anyhow::Result<(PathBuf, Note)> {
    let folder = match from.join(NOTE).exists() {
        true => from.to_owned(),
        false => all(from)?.pop().with_context(|| format!("there is no backup in {}", from.display()))?,
    };
    let path = folder.join(NOTE);
    let note = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let note: Note =
        serde_json::from_str(&note).with_context(|| format!("{} is no note of a backup", path.display()))?;
    if note.format != FORMAT {
        bail!(
            "{} was made by casewire {}: use that version, or a later one",
            folder.display(),
            note.casewire
        );
    }
    Ok((folder, note))
}

/// The complete backups in a folder, oldest first.
fn all(among: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(among).with_context(|| format!("{} cannot be read", among.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let is_backup = |path: &PathBuf| {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        named && path.extension().is_none() && path.join(NOTE).exists()
    };
    let mut backups: Vec<_> = paths.into_iter().filter(is_backup).collect();
    backups.sort();
    Ok(backups)
}

/// Removes all backups in a folder but the newest `keep`; how many went.
pub fn forget(among: &Path, keep: usize) -> anyhow::Result<usize> {
    let backups = all(among)?;
    let old = backups.len().saturating_sub(keep);
    for backup in backups.iter().take(old) {
        fs::remove_dir_all(backup).with_context(|| format!("{} cannot be removed", backup.display()))?;
    }
    Ok(old)
}

/// Waits for a copy and shows how far it has come, by the size it will have about.
pub async fn watched<T>(what: &'static str, copy: &Path, size: u64, work: impl Future<Output = T>) -> T {
    // Hidden by itself where nobody looks at a terminal.
    let bar = ProgressBar::new(size);
    let style =
        ProgressStyle::with_template("{spinner} {msg:10} [{bar:30}] {bytes}/{total_bytes}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    let mut look = tokio::time::interval(LOOK);
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = look.tick() => bar.set_position(size_of(copy).min(size)),
        }
    };
    bar.finish_and_clear();
    done
}

/// The size of a file; nothing while there is none.
pub fn size_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |data| data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(among: &Path, hour: u32) -> PathBuf {
        let at = format!("2026-11-20T{hour:02}:00:00Z").parse().unwrap();
        let backup = Unfinished::begin(among, at).unwrap();
        fs::write(backup.file(DATABASE), "x").unwrap();
        backup.finish(&Note::new(at, true)).unwrap()
    }

    #[test]
    fn a_backup_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let among = folder.path().join("backups");
        let unfinished = Unfinished::begin(&among, DateTime::UNIX_EPOCH).unwrap();
        assert!(find(&among).is_err());
        unfinished.give_up();
        let done = made(&among, 2);
        assert_eq!(done.file_name().unwrap(), "casewire-20261120T020000Z");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(&done), mode(&done.join(DATABASE)), mode(&done.join(NOTE))], [0o700, 0o600, 0o600]);
        assert_eq!(find(&done).unwrap().0, done);
        assert!(Unfinished::begin(&among, find(&done).unwrap().1.taken_at).is_err());
    }

    #[test]
    fn the_newest_is_found_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let backups: Vec<_> = [3, 1, 2].map(|hour| made(folder.path(), hour)).into();
        fs::create_dir(folder.path().join("casewire-other")).unwrap();
        assert_eq!(find(folder.path()).unwrap().0, backups[0]);
        assert_eq!(forget(folder.path(), 2).unwrap(), 1);
        assert!(!backups[1].exists() && backups[2].exists() && folder.path().join("casewire-other").exists());
        assert_eq!(forget(folder.path(), 2).unwrap(), 0);
    }
}
