//! By what a figure can be made again: command, commit, machine, servers.

use std::fs;
use std::process::Command;

use anyhow::Result;
use casewire_testkit::nats_current;
use chrono::{SecondsFormat, Utc};

use crate::finding::{Finding, Origin};
use crate::plan::Plan;
use crate::stage::programs::root;

/// The findings with where they come from.
pub(crate) fn note(found: Vec<Finding>, plan: &Plan) -> Result<Vec<Finding>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let profile = &plan.programs.profile;
    let command = format!("cargo run --profile {profile} -p casewire-bench -- {}", arguments.join(" "));
    let origin = Origin {
        command: command.trim_end_matches([' ', '-']).to_owned(),
        commit: plan.commit.clone(),
        machine: machine(),
        servers: servers()?,
        profile: profile.clone(),
        at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        quick: plan.quick,
    };
    Ok(found.into_iter().map(|finding| Finding { origin: origin.clone(), ..finding }).collect())
}

/// The commit, and whether anything differs from it but results, which a run before may have changed.
pub(crate) fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed =
        said("git", &["status", "--porcelain", "--", ".", ":!bench/results", ":!docs/performance.md"]);
    match (commit.is_empty(), changed.is_empty()) {
        (true, _) => "unknown".to_owned(),
        (false, true) => commit,
        (false, false) => commit + "-dirty",
    }
}

fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kib: u64 =
        field("/proc/meminfo", "MemTotal").split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = field("/proc/cpuinfo", "model name");
    format!("{cores} cores ({model}), {} GiB, {}, Linux {}", kib >> 20, disk(), kernel.trim())
}

/// The file system that servers keep their files on. On one in memory nothing is durable, and no figure says so.
pub(crate) fn disk() -> String {
    let kind = said("stat", &["--file-system", "--format=%T", &std::env::temp_dir().to_string_lossy()]);
    if kind.is_empty() { "an unknown file system".to_owned() } else { kind }
}

fn servers() -> Result<String> {
    let nats = said(&nats_current()?.to_string_lossy(), &["--version"]);
    let postgres = said("psql", &["--version"]);
    Ok(format!("{nats}; {postgres}; node {}", said("node", &["--version"])))
}

/// What a program says; nothing when there is none.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
