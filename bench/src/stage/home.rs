//! The data folder of one `casewire up`, with the line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use casewire_testkit::Casewire;
use casewire_testkit::process::Start;
use tempfile::TempDir;

use super::front::local;
use super::line;
use super::programs::Programs;

const START: Duration = Duration::from_secs(60);

pub(crate) struct Home {
    programs: Programs,
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Home {
    /// A folder in which everything is made and nothing runs.
    pub(crate) async fn create(programs: &Programs) -> Result<Self> {
        let home = Self { programs: programs.clone(), folder: tempfile::tempdir()?, address: local()? };
        let token = home.folder.path().join("token");
        std::fs::write(&token, line::TOKEN)?;
        let up = home.start().await?;
        let add =
            ["line", "add", "--id", line::LINE, "--number", line::NUMBER, "--account-sid", line::ACCOUNT];
        // So few a second that sending costs nothing.
        let token = ["--auth-token-file", token.to_str().context("a folder's name")?, "--rate", "1"];
        home.program(&[&add[..], &token].concat()).run_well(START).await?;
        up.terminate()?;
        up.wait(START).await?;
        Ok(home)
    }

    /// Starts `up` and waits until it serves.
    pub(crate) async fn start(&self) -> Result<Casewire> {
        let listen = self.address.to_string();
        let up = self.program(&["up", "--listen", &listen, "--ops-listen", "127.0.0.1:0"]).spawn()?;
        up.wait_for_line("Stop with Ctrl-C", START).await?;
        Ok(up)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("casewire.db")
    }

    pub(crate) fn stream(&self) -> PathBuf {
        self.data().join("stream.db")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, args: &[&str]) -> Start {
        let start = Casewire::at(self.programs.casewire()).args(args.iter().copied());
        let start = start.arg("--data-dir").arg(self.data());
        start.env("CASEWIRE_SERVER__PUBLIC_URL", line::PUBLIC_URL)
    }
}
