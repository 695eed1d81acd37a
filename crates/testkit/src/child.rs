//! A child process that never outlives the test process.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::pause::until_stopped;
use crate::wait::PAUSE;
use crate::watch;

/// Waits for the end of its input, which comes when the test process ends in whatever way. Then it sends signal `$2`
/// to the process group `$1`, kills it if it is not gone after some seconds, and removes the folder `$3`.
const KEEPER: &str = r#"
read -r _
kill -s "$2" -- "-$1"
i=0
while kill -s 0 -- "-$1" && test $i -lt 50; do sleep 0.1; i=$((i + 1)); done
kill -s KILL -- "-$1"
test -z "$3" || rm -rf -- "$3"
"#;

/// What ends a child of ours when nobody asked it to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// SIGKILL: at once.
    Kill,
    /// SIGQUIT: PostgreSQL's immediate shutdown, which takes the server's own children along.
    Quit,
}

/// A running process in a process group of its own, with its keeper. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
    keeper: Child,
    end: End,
    ended: Option<ExitStatus>,
}

impl Guarded {
    /// Starts `command`. Should the test process die, `folder` (if any) is removed along with the child.
    pub(crate) fn spawn(command: &mut Command, end: End, folder: Option<&Path>) -> Result<Self> {
        watch::this_test();
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.process_group(0).spawn().with_context(|| format!("cannot start {name}"))?;
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper", &child.id().to_string()])
            .arg(if end == End::Quit { "QUIT" } else { "KILL" })
            .arg(folder.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt at the terminal must not take the keeper before its work is done.
            .process_group(0)
            .spawn();
        match keeper {
            Ok(keeper) => Ok(Self { child, keeper, end, ended: None }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("cannot start /bin/sh")
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or nothing while it runs.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Sends a signal to the whole group; to one that has ended, none.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process_group(group, signal).context("cannot signal the process")
    }

    /// Tells all of it to stop (SIGSTOP), at once; what is returned waits until it stands still.
    pub(crate) fn pause(&mut self) -> impl Future<Output = Result<()>> + use<> {
        let (told, id) = (self.signal(Signal::STOP), self.id());
        async move {
            told?;
            until_stopped(id).await
        }
    }

    /// Kills it (-9) and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        match self.ended {
            Some(status) => Ok(status),
            None => {
                let status = self.child.wait()?;
                self.ended = Some(status);
                Ok(status)
            }
        }
    }

    /// Ends it as its [`End`] says, and waits until it is gone.
    fn end(&mut self) -> Result<()> {
        if self.end == End::Quit {
            self.signal(Signal::QUIT)?;
            let start = Instant::now();
            while self.ended()?.is_none() && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(PAUSE);
            }
        }
        self.kill().map(drop)
    }

    /// Waits until it has ended by itself; the process goes on when the deadline passes.
    pub(crate) async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() >= deadline {
                bail!("process {} still runs after {deadline:?}", self.child.id());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The child first: until it is gone its keeper stays on watch.
        let _ = self.end();
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Where a child writes, to be read again while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Log(PathBuf);

impl Log {
    /// An empty file at `path`, which need not exist.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }

    /// An end for the child to write to; lines of several runs follow each other.
    pub(crate) fn writer(&self) -> Result<Stdio> {
        Ok(File::options().append(true).open(&self.0)?.into())
    }

    /// What was written so far, from byte `from` on.
    pub(crate) fn read_from(&self, from: usize) -> String {
        let bytes = fs::read(&self.0).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        fs::metadata(&self.0).ok().and_then(|found| usize::try_from(found.len()).ok()).unwrap_or(0)
    }

    /// The last lines, for an error message.
    pub(crate) fn tail(&self) -> String {
        let whole = self.read_from(0);
        let lines: Vec<&str> = whole.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }
}

/// Waits until the log says `ready` after byte `from`; a child that ends before fails with the end of its log.
pub(crate) async fn ready(
    child: &mut Guarded,
    log: &Log,
    from: usize,
    ready: &str,
    deadline: Duration,
) -> Result<()> {
    let start = Instant::now();
    loop {
        if log.read_from(from).contains(ready) {
            return Ok(());
        }
        if let Some(status) = child.ended()? {
            bail!("it ended ({}) instead of starting:\n{}", ending(status), log.tail());
        }
        if start.elapsed() >= deadline {
            bail!("it was not ready after {deadline:?}:\n{}", log.tail());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".into(),
    }
}
