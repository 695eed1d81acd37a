//! The programs under measure: in the profile of this one, and built now, so that none is older than its source.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use casewire_testkit::Casewire;

/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    pub(crate) profile: String,
}

impl Programs {
    /// Those beside this program, as they are.
    pub(crate) fn find() -> Result<Self> {
        let own = std::env::current_exe()?;
        let folder = own.parent().context("this program lies in no folder")?.to_owned();
        let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if profile == "debug" {
            bail!("a debug build says nothing of speed: use `make bench`");
        }
        Ok(Self { folder, profile })
    }

    /// The same, brought up to their source.
    pub(crate) fn build() -> Result<Self> {
        let programs = Self::find()?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--locked", "--quiet", "--profile", &programs.profile])
            .args(["-p", "casewire", "-p", "casewire-bench"])
            .current_dir(ROOT)
            .status()
            .context("cargo cannot be run")?;
        ensure!(built.success(), "the programs cannot be built");
        Ok(programs)
    }

    pub(crate) fn casewire(&self) -> PathBuf {
        self.folder.join("casewire")
    }

    pub(crate) fn raw_limit(&self) -> PathBuf {
        self.folder.join("raw-limit")
    }
}

/// The folder of this package.
pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(ROOT)
}

/// The end of what a program said, for an error message.
pub(crate) fn last_words(program: &Casewire) -> String {
    let said = program.stdout() + &program.stderr();
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
