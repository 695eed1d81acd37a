//! The folder of `casewire up`: who holds it, its master key, and what commands beside it must know.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

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

    /// Makes the folder where it is missing, for its owner alone.
    pub fn create(&self) -> anyhow::Result<()> {
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
        let path = self.0.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| self.trouble("locked"))?;
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => bail!(
                "another `casewire up` runs on {}: stop it, or choose another folder with --data-dir",
                self.0.display()
            ),
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
        write(&self.master_key_file(), &key)?;
        Ok(key)
    }

    /// The master key's text, where there is one.
    pub fn master_key(&self) -> anyhow::Result<Option<String>> {
        read(&self.master_key_file())
    }

    /// Records what commands beside a running `up` must know.
    pub fn record(&self, running: &Running) -> anyhow::Result<()> {
        write(&self.0.join("up.json"), &serde_json::to_string_pretty(running)?)
    }

    /// What the last `up` on this folder recorded.
    pub fn running(&self) -> Option<Running> {
        serde_json::from_str(&read(&self.0.join("up.json")).ok()??).ok()
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
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
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
