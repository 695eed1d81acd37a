//! The `casewire` program as a process of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::{End, Guarded, Log};
use crate::{http, wait::eventually_some};

/// What to start: a program, its arguments and its surroundings. The test's own `CASEWIRE_*` and `OTEL_*` variables
/// are not handed on.
#[derive(Debug)]
pub struct Start {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Vec<u8>,
}

/// A running program, killed on drop.
#[derive(Debug)]
pub struct Casewire {
    child: Mutex<Guarded>,
    pid: u32,
    stdout: Log,
    stderr: Log,
    _folder: TempDir,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended; `status.code()` is nothing when a signal ended it.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Casewire {
    /// Describes a start of the program at `program`, usually `env!("CARGO_BIN_EXE_casewire")`.
    pub fn at(program: impl AsRef<Path>) -> Start {
        Start {
            program: program.as_ref().to_path_buf(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: Vec::new(),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has printed to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.read_from(0)
    }

    /// What it has printed to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.read_from(0)
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> Result<bool> {
        Ok(self.child().ended()?.is_none())
    }

    /// Waits until a whole line of its output, on either stream, contains `text`; returns that line.
    pub async fn wait_for_line(&self, text: &str, deadline: Duration) -> Result<String> {
        let found = eventually_some(text, deadline, || async {
            // Asked first: what a program wrote before its end is then surely read.
            let ended = self.child().ended();
            match self.line(text) {
                Some(line) => Some(Ok(line)),
                None => match ended {
                    Ok(None) => None,
                    Ok(Some(status)) => {
                        Some(Err(anyhow::anyhow!("it ended ({status}) without saying {text:?}")))
                    }
                    Err(error) => Some(Err(error)),
                },
            }
        })
        .await;
        found.and_then(|line| line).with_context(|| self.said())
    }

    /// Waits until a GET of `url` answers 2xx.
    pub async fn wait_until_ready(&self, url: &str, deadline: Duration) -> Result<()> {
        let client = http::client()?;
        let answered = eventually_some(&format!("{url} answers 2xx"), deadline, || async {
            let answer = client.get(url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Some(Ok(()));
            }
            match self.child().ended() {
                Ok(None) => None,
                Ok(Some(status)) => Some(Err(anyhow::anyhow!("it ended ({status}) before it was ready"))),
                Err(error) => Some(Err(error)),
            }
        })
        .await;
        answered.and_then(|ready| ready).with_context(|| self.said())
    }

    /// Kills it with -9 and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        self.child().kill().map(drop)
    }

    /// Asks it to end (SIGTERM); [`wait`](Self::wait) waits for that.
    pub fn terminate(&self) -> Result<()> {
        self.child().signal(Signal::TERM)
    }

    /// Freezes it: it keeps its connections and leases, and does nothing.
    pub async fn pause(&self) -> Result<()> {
        let paused = self.child().pause();
        paused.await
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        self.child().signal(Signal::CONT)
    }

    /// Waits until it has ended.
    pub async fn wait(&self, deadline: Duration) -> Result<Finished> {
        let status =
            eventually_some("the process ends", deadline, || async { self.child().ended().transpose() })
                .await
                .and_then(|status| status)
                .with_context(|| self.said())?;
        Ok(Finished { status, stdout: self.stdout(), stderr: self.stderr() })
    }

    fn line(&self, text: &str) -> Option<String> {
        // A last line without its end may still grow.
        let whole = |output: String| {
            output
                .split_inclusive('\n')
                .find(|line| line.ends_with('\n') && line.contains(text))
                .map(str::to_owned)
        };
        let line = whole(self.stdout()).or_else(|| whole(self.stderr()))?;
        Some(line.trim_end().to_owned())
    }

    fn said(&self) -> String {
        format!("standard output:\n{}\nstandard error:\n{}", self.stdout.tail(), self.stderr.tail())
    }

    fn child(&self) -> MutexGuard<'_, Guarded> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Start {
    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = T>, T: Into<OsString>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts it by way of another program, which takes it and its arguments after its own.
    #[must_use]
    pub fn under<T: Into<OsString>>(
        mut self,
        program: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        let mut all: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        all.push(std::mem::replace(&mut self.program, program.as_ref().to_path_buf()).into());
        all.append(&mut self.arguments);
        self.arguments = all;
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it in `folder` instead of an empty one of its own.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_path_buf());
        self
    }

    /// Gives it `input` as its standard input, which is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Starts it.
    pub fn spawn(self) -> Result<Casewire> {
        let folder = tempfile::Builder::new().prefix("casewire-process-").tempdir()?;
        let (stdout, stderr) =
            (Log::create(folder.path().join("stdout"))?, Log::create(folder.path().join("stderr"))?);
        let mut command = self.command(folder.path())?;
        command.stdout(stdout.writer()?).stderr(stderr.writer()?);
        let child = Guarded::spawn(&mut command, End::Kill, Some(folder.path()))?;
        Ok(Casewire { pid: child.id(), child: Mutex::new(child), stdout, stderr, _folder: folder })
    }

    /// Starts it and waits for its end; one that still runs at the deadline is killed and an error.
    pub async fn run(self, deadline: Duration) -> Result<Finished> {
        let running = self.spawn()?;
        running.wait(deadline).await
    }

    /// Starts it, waits for its end and insists on success; returns what it printed.
    pub async fn run_well(self, deadline: Duration) -> Result<String> {
        let said = format!("{:?}", self.arguments);
        let finished = self.run(deadline).await?;
        if !finished.status.success() {
            bail!("{said} ended with {}: {}{}", finished.status, finished.stdout, finished.stderr);
        }
        Ok(finished.stdout)
    }

    fn command(&self, own: &Path) -> Result<Command> {
        let (input, empty) = (own.join("stdin"), own.join("cwd"));
        fs::write(&input, &self.input)?;
        fs::create_dir(&empty)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(self.folder.as_ref().unwrap_or(&empty));
        command.stdin(Stdio::from(File::open(input)?));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CASEWIRE_") || text.starts_with("OTEL_") {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}
