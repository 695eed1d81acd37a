//! What a process and its children use, from Linux's /proc.

use std::fs;

use anyhow::{Context, Result};

/// Ticks a second of the counters in /proc: the same on every Linux.
const TICKS: f64 = 100.0;

/// Seconds of processor time that a process and all its children have used.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut seconds = 0.0;
    for one in family(pid) {
        seconds += ticks(&stat(one)?).context("/proc is not understood")? / TICKS;
    }
    Ok(seconds)
}

/// Seconds of processor time that everything on the machine has used, since it was started.
pub(crate) fn machine_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    Ok(busy(&stat).context("/proc/stat is not understood")? / TICKS)
}

/// Time that was spent on programs and for them: all but idle, waiting for a disk, and what another machine took.
fn busy(stat: &str) -> Option<f64> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<f64> = all.map(|ticks| ticks.parse().ok()).collect::<Option<_>>()?;
    let [user, nice, system, _idle, _disk, irq, softirq, ..] = ticks[..] else { return None };
    Some(user + nice + system + irq + softirq)
}

/// Memory that a process and all its children hold, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<f64> {
    memory(pid, "VmRSS:")
}

/// The most memory that each of them ever held, in MiB.
pub(crate) fn most_memory_mib(pid: u32) -> Result<f64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> Result<f64> {
    let mut kib = 0.0;
    for one in family(pid) {
        let status = fs::read_to_string(format!("/proc/{one}/status"))?;
        kib += kib_of(&status, field).context("/proc is not understood")?;
    }
    Ok(kib / 1024.0)
}

/// A process and its children, and theirs.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut others: Vec<(u32, u32)> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|one| Some((one, parent(&stat(one).ok()?)?)))
        .collect();
    loop {
        let before = all.len();
        others.retain(|(one, parent)| {
            let ours = all.contains(parent);
            if ours {
                all.push(*one);
            }
            !ours
        });
        if all.len() == before {
            return all;
        }
    }
}

fn stat(pid: u32) -> Result<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))
}

/// The fields of `stat` behind the program's name, which may hold blanks: state, parent, …
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

fn parent(stat: &str) -> Option<u32> {
    fields(stat).nth(1)?.parse().ok()
}

/// User and system time.
fn ticks(stat: &str) -> Option<f64> {
    let mut times = fields(stat).skip(11);
    Some(times.next()?.parse::<f64>().ok()? + times.next()?.parse::<f64>().ok()?)
}

fn kib_of(status: &str, field: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_a_name_with_blanks() {
        let stat = "7 (a (b) c) S 3 7 7 0 -1 4194560 1 0 0 0 250 50 1 1 20 0 4 0 1 2 3";
        assert_eq!((parent(stat), ticks(stat)), (Some(3), Some(300.0)));
    }

    #[test]
    fn a_machine_is_busy_with_programs_and_interrupts() {
        assert_eq!(busy("cpu  1 2 3 400 500 6 7 800 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"), Some(19.0));
        assert!(machine_seconds().unwrap() > 0.0);
    }

    #[test]
    fn a_process_counts_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let family = family(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&child.id()), "{family:?}");
        let memory = memory_mib(std::process::id()).unwrap();
        assert!(memory > 1.0 && most_memory_mib(std::process::id()).unwrap() >= memory);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
    }
}
