//! Finding the server programs on this machine.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Names another nats-server than the one found on the path.
const NATS_SERVER_VARIABLE: &str = "CASEWIRE_TEST_NATS_SERVER";

/// The nats-server to test against.
pub(crate) fn nats_server() -> Result<PathBuf> {
    if let Some(named) = env::var_os(NATS_SERVER_VARIABLE).filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!("{NATS_SERVER_VARIABLE} names {}, which is no file", named.display());
        }
        return Ok(named);
    }
    let mut folders = on_path();
    folders.extend(["/usr/sbin".into(), "/usr/local/sbin".into(), tools().join("nats/bin")]);
    search("nats-server", &folders)
}

/// The current nats-server that `scripts/tools.sh nats-current` has put here.
pub fn nats_current() -> Result<PathBuf> {
    search("nats-server", &[tools().join("nats/bin")])
        .context("the current nats-server is not here: run `scripts/tools.sh nats-current`")
}

/// A program of the PostgreSQL server: `postgres`, `initdb` or `psql`. All come from one installation.
pub(crate) fn postgres(name: &str) -> Result<PathBuf> {
    let folders: Vec<PathBuf> = debian_postgres().into_iter().chain(on_path()).collect();
    let server = search("postgres", &folders)?;
    // Debian keeps the server's programs off the path, and what is on the path may be links to them.
    let mut folders = Vec::new();
    if let Ok(real) = fs::canonicalize(&server) {
        folders.extend(real.parent().map(Path::to_path_buf));
    }
    folders.extend(server.parent().map(Path::to_path_buf));
    folders.extend(on_path());
    search(name, &folders)
}

/// The tracer of system calls.
pub fn strace() -> Result<PathBuf> {
    search("strace", &on_path())
}

/// nginx, to stand before what listens here.
pub fn nginx() -> Result<PathBuf> {
    // Debian keeps it off the path of all but root.
    search("nginx", &[on_path(), vec!["/usr/sbin".into(), "/usr/local/sbin".into()]].concat())
}

/// Prometheus, to scrape what runs here and to try rules on it.
pub fn prometheus() -> Result<PathBuf> {
    search("prometheus", &on_path())
}

fn search(name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
    if let Some(found) = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()) {
        return Ok(found);
    }
    bail!("the program `{name}`, which the tests need, is not on this machine: run `make tools`")
}

fn on_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// Where `make tools` puts what it may not install for everyone.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools")
}

/// `/usr/lib/postgresql/<major>/bin`, newest first.
fn debian_postgres() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut majors: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    majors.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let error = search("no-such-program", &on_path()).unwrap_err().to_string();
        assert!(error.contains("no-such-program") && error.contains("make tools"), "{error}");
    }
}
