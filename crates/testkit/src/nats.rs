//! A private nats-server with JetStream.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt::Write as _, fs};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::{End, Guarded, Log, ready};
use crate::{port, program};

/// A loaded machine may take seconds to recover a large store.
const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Another process may take a port between our look and the server's bind.
const PORT_TRIES: u32 = 5;

/// A nats-server of its own port and store, killed and swept away on drop.
///
/// The binary is the one `CASEWIRE_TEST_NATS_SERVER` names, else the one found on the machine.
#[derive(Debug)]
pub struct NatsServer {
    // Before the folder, so that the server is gone when its store is removed.
    running: Mutex<Option<Guarded>>,
    program: PathBuf,
    port: u16,
    log: Log,
    folder: TempDir,
}

impl NatsServer {
    /// Starts a server with an empty store and waits until it is ready.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// Starts a server whose configuration file has `extra` lines, for example
    /// `authorization { user: a, password: b }`.
    pub async fn start_with(extra: &str) -> Result<Self> {
        Self::start_program(program::nats_server()?, extra).await
    }

    /// The same with another program than the one found.
    pub async fn start_program(program: PathBuf, extra: &str) -> Result<Self> {
        Self::start_on(program, "", extra).await
    }

    /// The same with lines for JetStream: `sync_interval: always` (2.10 and later) acknowledges nothing before it is on
    /// the disk.
    pub async fn start_storing(program: PathBuf, storage: &str) -> Result<Self> {
        Self::start_on(program, storage, "").await
    }

    /// Another program, with lines for JetStream and `extra` ones.
    pub async fn start_on(program: PathBuf, storage: &str, extra: &str) -> Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            let server = Self::prepare(program.clone(), storage, extra)?;
            match server.restart().await {
                Ok(()) => return Ok(server),
                Err(_) if tries < PORT_TRIES && server.port_was_taken() => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn prepare(program: PathBuf, storage: &str, extra: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("casewire-nats-").tempdir()?;
        let port = port::free()?;
        let mut config = String::new();
        writeln!(config, "listen: \"127.0.0.1:{port}\"")?;
        writeln!(config, "jetstream {{\n  store_dir: {:?}\n  {storage}\n}}", folder.path().join("store"))?;
        writeln!(config, "{extra}")?;
        fs::write(folder.path().join("nats.conf"), config)?;
        let log = Log::create(folder.path().join("log"))?;
        Ok(Self { running: Mutex::new(None), program, port, log, folder })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port it listens on, before and after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where JetStream keeps its files.
    pub fn store_dir(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// What the server has logged, over all its runs.
    pub fn log(&self) -> String {
        self.log.read_from(0)
    }

    /// The server's version, as it logs it: `2.9.10`.
    pub fn version(&self) -> Result<String> {
        let log = self.log();
        let (_, rest) = log.split_once("Version:").context("the server logged no version")?;
        Ok(rest.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// Kills it with -9 and waits until it is gone. Nothing happens when it does not run.
    pub fn kill(&self) -> Result<()> {
        if let Some(mut running) = self.running().take() {
            running.kill()?;
        }
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub async fn stop(&self) -> Result<()> {
        // Out of the lock, which may not be held while waiting.
        let Some(mut running) = self.running().take() else { return Ok(()) };
        running.signal(Signal::TERM)?;
        running.wait(STOP_DEADLINE).await?;
        Ok(())
    }

    /// Freezes it: connections stay open and nothing answers.
    pub async fn pause(&self) -> Result<()> {
        let paused = self.running().as_mut().context("nats-server does not run")?.pause();
        paused.await
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Starts it again on the same port and store (killing it first if it still runs), and waits until it is ready.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        let from = self.log.len();
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("nats.conf"));
        command.stdin(Stdio::null()).stdout(self.log.writer()?).stderr(self.log.writer()?);
        let mut child = Guarded::spawn(&mut command, End::Kill, Some(self.folder.path()))?;
        ready(&mut child, &self.log, from, "Server is ready", START_DEADLINE).await.context("nats-server")?;
        *self.running() = Some(child);
        Ok(())
    }

    /// Kills it and removes everything it had stored; [`restart`](Self::restart) then starts it empty.
    pub fn wipe(&self) -> Result<()> {
        self.kill()?;
        remove(&self.store_dir())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        match self.running().as_mut() {
            Some(running) => running.signal(signal),
            None => bail!("nats-server does not run"),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Guarded>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port_was_taken(&self) -> bool {
        self.log().contains("address already in use")
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
