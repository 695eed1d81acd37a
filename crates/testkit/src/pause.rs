//! Waiting until a process that was told to stop has: a signal only asks, and while the thread that is to take it waits for
//! a processor, the others go on and may answer somebody.

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use anyhow::Result;

use crate::wait::eventually;

/// Longer than any machine here lets a thread wait for a processor, or for its disk.
const DEADLINE: Duration = Duration::from_secs(10);

/// Waits until no thread of the process runs any more.
///
/// # Errors
/// When one still does after ten seconds.
pub(crate) async fn until_stopped(pid: impl Display) -> Result<()> {
    let what = format!("process {pid}, which was told to stop, stands still");
    eventually(&what, DEADLINE, || async { is_stopped(&pid) }).await
}

/// Whether all its threads are stopped, or gone.
fn is_stopped(pid: &impl Display) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.map(|thread| fs::read_to_string(thread.path().join("stat"))).all(|stat| {
        // The name before the state is in brackets, and may hold anything.
        let state =
            stat.ok().and_then(|stat| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()));
        matches!(state, None | Some('T' | 't' | 'Z' | 'X'))
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_process_is_stopped_once_none_of_its_threads_runs() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let before = is_stopped(&child.id());
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::STOP).unwrap();
        until_stopped(child.id()).await.unwrap();
        kill_process(pid, Signal::CONT).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!before && is_stopped(&child.id()));
    }
}
