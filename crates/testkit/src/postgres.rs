//! A private PostgreSQL server.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::child::{End, Guarded, Log, ready};
use crate::pause::until_stopped;
use crate::wait::PAUSE;
use crate::{port, program, watch};

/// Recovery after a kill is part of a start.
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Another process may take a port between our look and the server's bind.
const PORT_TRIES: u32 = 5;
const STILL_IN_USE: &str = "pre-existing shared memory block";

/// How a server treats its disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether commits wait for the disk. Off by default: a commit still survives kill -9, only not a power cut.
    pub fsync: bool,
    /// Settings over the usual ones, as PostgreSQL names them.
    pub settings: &'static [(&'static str, &'static str)],
}

/// A PostgreSQL server of its own port and data folder, killed and swept away on drop.
#[derive(Debug)]
pub struct Postgres {
    // Before the folder, so that the server is gone when its data is removed.
    running: Mutex<Option<Guarded>>,
    owner: Option<Owner>,
    port: u16,
    options: Options,
    log: Log,
    folder: TempDir,
}

/// Whom the server runs as when we are root, which PostgreSQL refuses.
#[derive(Clone, Copy, Debug)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// The one server of this test process, started by whoever asks first. It ends with the process.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// A server for one test alone, which may kill it.
    pub async fn start() -> Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// A server for one test alone, with options.
    pub async fn start_with(options: Options) -> Result<Self> {
        Self::start_in(&place(), options).await
    }

    /// The same with its data in a folder below `place`: on another disk.
    pub async fn start_in(place: &Path, options: Options) -> Result<Self> {
        let mut server = Self::initialise(place, options).await?;
        for _ in 1..PORT_TRIES {
            match server.restart().await {
                Err(_) if server.port_was_taken() => server.port = port::free()?,
                outcome => return outcome.map(|()| server),
            }
        }
        server.restart().await.map(|()| server)
    }

    async fn initialise(place: &Path, options: Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("casewire-postgres-").tempdir_in(place)?;
        let owner = owner_for(folder.path())?;
        if let Some(owner) = owner {
            chown(folder.path(), Some(owner.uid), Some(owner.gid))?;
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
        let log = Log::create(folder.path().join("log"))?;
        let server = Self { running: Mutex::new(None), owner, port: port::free()?, options, log, folder };
        let mut initdb = server.command("initdb")?;
        initdb.arg("-D").arg(server.data()).args([
            "--username=casewire",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run(initdb).await?;
        Ok(server)
    }

    /// Creates an empty database and returns its URL.
    pub async fn database(&self) -> Result<String> {
        watch::this_test();
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}")).await?;
        Ok(self.url(&name))
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://casewire@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on, before and after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Freezes the server with all its backends: connections stay open and nothing answers.
    pub async fn pause(&self) -> Result<()> {
        let (server, paused) = {
            let mut running = self.running();
            let server = running.as_mut().context("postgres does not run")?;
            (server.id(), server.pause())
        };
        // First, so that it makes no more of them.
        paused.await?;
        for child in children(server) {
            // One that ended meanwhile needs no signal.
            let _ = kill_process(child, Signal::STOP);
            until_stopped(child.as_raw_nonzero()).await?;
        }
        Ok(())
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        self.signal_all(Signal::CONT)
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.data()
    }

    /// Runs statements as superuser and returns what `psql` prints: unaligned rows, `|` between columns.
    pub async fn sql(&self, database: &str, statements: &str) -> Result<String> {
        let mut psql = self.command("psql")?;
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements])
            .arg(self.url(database));
        run(psql).await
    }

    /// Runs a script statement by statement, each a transaction of its own unless the script says otherwise.
    pub async fn script(&self, database: &str, script: &str) -> Result<String> {
        let mut psql = self.command("psql")?;
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(self.put("script.sql", script)?);
        psql.arg(self.url(database));
        run(psql).await
    }

    /// Runs a script of `pgbench`'s on a database, with these arguments, to its end; returns what it printed.
    pub async fn pgbench(&self, database: &str, script: &str, arguments: &[String]) -> Result<String> {
        let mut pgbench = self.command("pgbench")?;
        pgbench.args(arguments).arg("-f").arg(self.put("pgbench.sql", script)?).arg(self.url(database));
        run(pgbench).await
    }

    /// A file in the server's own folder, which its owner can read.
    fn put(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// What the server has logged, over all its runs.
    pub fn log(&self) -> String {
        self.log.read_from(0)
    }

    /// Kills the server with -9. Its backends notice and end by themselves, one in the middle of a statement after
    /// it. Nothing happens when it does not run.
    pub fn kill(&self) -> Result<()> {
        // A backend that is paused would notice nothing.
        let _ = self.resume();
        if let Some(mut running) = self.running().take() {
            running.kill()?;
        }
        Ok(())
    }

    /// Stops it in order, cutting its connections (the fast shutdown).
    pub async fn stop(&self) -> Result<()> {
        // Out of the lock, which may not be held while waiting.
        let Some(mut running) = self.running().take() else { return Ok(()) };
        running.signal(Signal::INT)?;
        running.wait(STOP_DEADLINE).await?;
        Ok(())
    }

    /// Starts it again on the same port and data (killing it first if it still runs), and waits until it is ready.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        let start = Instant::now();
        loop {
            let from = self.log.len();
            match self.try_start(from).await {
                // The last backends of a killed server are still on their way out.
                Err(_)
                    if self.log.read_from(from).contains(STILL_IN_USE)
                        && start.elapsed() < START_DEADLINE => {}
                outcome => return outcome,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_start(&self, from: usize) -> Result<()> {
        let mut command = self.command("postgres")?;
        command.arg("-D").arg(self.data());
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // The last one holds.
        for (name, value) in self.options.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdout(self.log.writer()?).stderr(self.log.writer()?);
        let mut child = Guarded::spawn(&mut command, End::Quit, Some(self.folder.path()))?;
        ready(&mut child, &self.log, from, "ready to accept connections", START_DEADLINE)
            .await
            .context("postgres")?;
        *self.running() = Some(child);
        Ok(())
    }

    fn settings(&self) -> [(&'static str, String); 10] {
        let fsync = if self.options.fsync { "on" } else { "off" };
        [
            ("listen_addresses", "127.0.0.1".into()),
            ("port", self.port.to_string()),
            // TCP alone: a socket's path may be too long, and its folder shared.
            ("unix_socket_directories", String::new()),
            // Many tests, each with a pool or several.
            ("max_connections", "400".into()),
            ("shared_buffers", "64MB".into()),
            ("fsync", fsync.into()),
            ("full_page_writes", fsync.into()),
            // Never off: with it a commit that was answered could be lost by kill -9.
            ("synchronous_commit", "on".into()),
            ("timezone", "UTC".into()),
            ("lc_messages", "C".into()),
        ]
    }

    /// A program of the server's, run as the server's owner in its folder.
    fn command(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(program::postgres(name)?);
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        // A developer's own settings (PGHOST, PGOPTIONS …) must not reach the private server.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        Ok(command)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Signals the server, then its children, each of which is in a group of its own.
    fn signal_all(&self, signal: Signal) -> Result<()> {
        let mut running = self.running();
        let server = running.as_mut().context("postgres does not run")?;
        server.signal(signal)?;
        for child in children(server.id()) {
            // One that ended meanwhile needs no signal.
            let _ = kill_process(child, signal);
        }
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Option<Guarded>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn port_was_taken(&self) -> bool {
        self.log().contains("could not create any TCP/IP sockets")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Backends that are paused outlive their server, and whoever waits for them waits for ever.
        let _ = self.resume();
    }
}

/// The processes whose parent is this one (Linux: `/proc/<pid>/task/<tid>/children` needs a kernel option, so each
/// process is asked for its parent).
fn children(parent: u32) -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = numbers.filter(|number| {
        let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.strip_prefix("PPid:").is_some_and(|of| of.trim() == parent.to_string()))
    });
    ours.filter_map(Pid::from_raw).collect()
}

/// Runs a program to its end; returns what it printed, or fails with what it complained of. One that nobody waits for
/// any more is killed.
async fn run(command: Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = tokio::process::Command::from(command).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A folder that the server's owner can reach: root's own temporary folder may be closed to others.
fn place() -> PathBuf {
    if am_root(Path::new("/proc/self")) { "/tmp".into() } else { std::env::temp_dir() }
}

/// Whom to run the server as, when this process, which made `folder`, is root.
fn owner_for(folder: &Path) -> Result<Option<Owner>> {
    if !am_root(folder) {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let found = ["postgres", "nobody"].iter().find_map(|name| user(&users, name));
    found
        .map(Some)
        .context("PostgreSQL refuses root, and there is no user `postgres` or `nobody`: run `make tools`")
}

fn am_root(ours: &Path) -> bool {
    fs::metadata(ours).is_ok_and(|found| found.uid() == 0)
}

/// Reads one line of `/etc/passwd`: `name:password:uid:gid:…`.
fn user(users: &str, name: &str) -> Option<Owner> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Owner { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_read_from_the_list_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var/lib:/bin/sh\n";
        let owner = user(users, "postgres").unwrap();
        assert_eq!((owner.uid, owner.gid), (101, 104));
        assert!(user(users, "post").is_none());
    }
}
