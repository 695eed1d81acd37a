//! The folder of `casewire up`: who holds it, its master key, and what commands beside it must know.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The folder.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// The right to run `up` on a folder, held as long as this lives.
pub struct Held(#[expect(dead_code, reason = "holding it is what it is for")] File);

/// What a running `up` tells commands beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Where the provider reaches it.
    pub public_url: String,
    /// Where its simulator is; none when it serves a real account.
    pub simulator: Option<String>,
    /// Where its health is asked for.
    #[serde(default)]
    pub ops: Option<SocketAddr>,
    /// Where the simulator's own API is, which lets in whoever knows an account's id; none when it serves a real account.
    #[serde(default)]
    pub api: Option<String>,
}

impl DataDir {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn database(&self) -> PathBuf {
        self.0.join("casewire.db")
    }

    pub fn stream(&self) -> PathBuf {
        self.0.join("stream.db")
    }

    /// The folder of ingest's spill.
    pub fn spill(&self) -> PathBuf {
        self.0.join("spill")
    }

    /// Where a running `up` puts the copy of its stream that a backup of this id asked for.
    pub fn stream_copy(&self, id: Uuid) -> PathBuf {
        self.0.join(format!("stream.{id}.copy"))
    }

    /// Where a restore makes ready what it then puts in place.
    pub fn restoring(&self) -> PathBuf {
        self.0.join("restoring")
    }

    /// What the last `up` on this folder recorded, as a file.
    pub fn running_file(&self) -> PathBuf {
        self.0.join("up.json")
    }

    /// Whether a restore ended half-way, with the old files moved away and not all of the new ones in place.
    pub fn is_half_restored(&self) -> bool {
        self.restoring().exists() && !self.database().exists()
    }

    /// Makes the folder where it is missing, for its owner alone.
    pub fn create(&self) -> anyhow::Result<()> {
        if self.is_half_restored() {
            bail!("a restore into {} was not finished: run `casewire restore` on it again", self.0.display());
        }
        let file = self.0.ancestors().find(|path| path.is_file());
        if let Some(file) = file {
            bail!("{}: {} is a file", self.trouble("made"), file.display());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| self.trouble("made"))?;
        let probe = self.0.join(".writable");
        fs::write(&probe, b"")
            .and_then(|()| fs::remove_file(&probe))
            .and_then(|()| self.reserve())
            .with_context(|| self.trouble("written to"))
    }

    /// Makes the files that hold what people wrote readable for their owner alone, whoever made the folder. What
    /// SQLite puts beside a file has that file's rights.
    fn reserve(&self) -> std::io::Result<()> {
        for file in [self.database(), self.stream()] {
            let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file);
            made.map(drop).or_else(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
        }
        Ok(())
    }

    fn trouble(&self, what: &str) -> String {
        format!("the data folder {} cannot be {what}", self.0.display())
    }

    /// Takes the folder; a second `up` is refused.
    pub fn hold(&self) -> anyhow::Result<Held> {
        self.try_hold()?.with_context(|| {
            format!(
                "another `casewire up` runs on {}: stop it, or choose another folder with --data-dir",
                self.0.display()
            )
        })
    }

    /// Takes the folder; `None` while an `up` runs on it.
    pub fn try_hold(&self) -> anyhow::Result<Option<Held>> {
        let path = self.0.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| self.trouble("locked"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| self.trouble("locked")),
        }
    }

    pub fn master_key_file(&self) -> PathBuf {
        self.0.join("master.key")
    }

    /// Makes a master key; its text.
    pub fn make_master_key(&self) -> anyhow::Result<String> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| anyhow::anyhow!("no random bytes for a master key: {error}"))?;
        let key = casewire_domain::seal::MasterKey::encode(&bytes);
        self.put_master_key(&key)?;
        Ok(key)
    }

    /// Keeps this as the master key.
    pub fn put_master_key(&self, key: &str) -> anyhow::Result<()> {
        write(&self.master_key_file(), key)
    }

    /// The master key's text, where there is one.
    pub fn master_key(&self) -> anyhow::Result<Option<String>> {
        read(&self.master_key_file())
    }

    /// Records when the last backup of the folder was begun that came to its end.
    pub fn record_backup(&self, taken_at: DateTime<Utc>) -> anyhow::Result<()> {
        write(&self.last_backup_file(), &taken_at.to_rfc3339())
    }

    /// When the last backup was begun; nothing before the first.
    pub fn last_backup(&self) -> anyhow::Result<Option<DateTime<Utc>>> {
        let file = self.last_backup_file();
        let Some(text) = read(&file)? else { return Ok(None) };
        let time = text.trim().parse();
        Ok(Some(time.with_context(|| format!("{} holds no time", file.display()))?))
    }

    fn last_backup_file(&self) -> PathBuf {
        self.0.join("last-backup")
    }

    /// Records what commands beside a running `up` must know.
    pub fn record(&self, running: &Running) -> anyhow::Result<()> {
        write(&self.running_file(), &serde_json::to_string_pretty(running)?)
    }

    /// What the last `up` on this folder recorded.
    pub fn running(&self) -> Option<Running> {
        serde_json::from_str(&read(&self.running_file()).ok()??).ok()
    }
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Writes a file for its owner alone, whole or not at all.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let written = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new).and_then(
        |mut file| {
            writeln!(file, "{text}")?;
            file.sync_all()
        },
    );
    written
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}
