//! The data folder of one installation of `casewire up`, and what runs on it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use casewire_testkit::process::Start;
use casewire_testkit::{Casewire, Finished};
use tempfile::TempDir;

use super::{ACCOUNT, Hook, casewire};

/// The auth token of the account whose line [`Home::line`] adds.
pub(crate) const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// How long anything here may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A data folder of its own, removed in the end. `up` may be started on it again and again.
pub(crate) struct Home {
    folder: TempDir,
    listen: String,
}

/// A running `up`.
pub(crate) struct Up {
    pub(crate) process: Casewire,
    /// Where page, API and webhooks are.
    pub(crate) base: String,
    /// The one-time link to the page.
    pub(crate) link: String,
    /// Where health and metrics are.
    pub(crate) ops: String,
}

impl Home {
    /// On whatever port is free at each start.
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), listen: "127.0.0.1:0".to_owned() }
    }

    /// On the same port at each start, so that its public URL stays.
    pub(crate) fn on_one_port() -> Self {
        let port = casewire_testkit::port::free().unwrap();
        Self { listen: format!("127.0.0.1:{port}"), ..Self::new() }
    }

    /// Another folder, on the same port.
    pub(crate) fn beside(&self) -> Self {
        Self { folder: TempDir::new().unwrap(), listen: self.listen.clone() }
    }

    /// Where it listens, when that is on one port.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file beside the data folder; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A command on this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Start {
        casewire(args).current_dir(self.folder.path()).arg("--data-dir").arg(self.data())
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) async fn run(&self, args: &[&str]) -> String {
        self.command(args).run_well(SOON).await.unwrap()
    }

    /// Runs a command that must be refused in one sentence and exit code 1; the sentence.
    pub(crate) async fn refused(&self, args: &[&str]) -> String {
        sentence(self.command(args).run(SOON).await.unwrap())
    }

    /// Adds a line of an account of its own to a running `up`, and waits until its webhook is taken.
    pub(crate) async fn line(&self, up: &Up) -> Hook {
        self.line_at(&up.base, casewire_testkit::http::client().unwrap()).await
    }

    /// The same where the world reaches `up` under another URL, with this client.
    pub(crate) async fn line_at(&self, public_url: &str, client: reqwest::Client) -> Hook {
        let token = self.write("token.txt", &format!("{AUTH_TOKEN}\n"));
        let args = ["line", "add", "--id", "tests", "--number", "+15550001111"];
        let account = ["--account-sid", ACCOUNT, "--auth-token-file", &token];
        self.run(&[&args[..], &account[..]].concat()).await;
        let hook = Hook { client, ..Hook::new(public_url, "tests", ACCOUNT, AUTH_TOKEN) };
        hook.known().await;
        hook
    }

    /// `up` on this folder, to be spawned.
    pub(crate) fn up(&self) -> Start {
        self.command(&["up", "--listen", &self.listen, "--ops-listen", "127.0.0.1:0"])
    }

    /// Starts `up` on this folder and waits until it says where everything is.
    pub(crate) async fn start(&self) -> Up {
        Up::ready(self.up().spawn().unwrap()).await
    }
}

impl Up {
    /// Waits until it says where everything is.
    pub(crate) async fn ready(process: Casewire) -> Self {
        process.wait_for_line("Stop with Ctrl-C", SOON).await.unwrap();
        let base = said_after(&process, "API").strip_suffix("/api/v1").unwrap().to_owned();
        let ops = said_after(&process, "Health").strip_suffix("/readyz,").unwrap().to_owned();
        Self { base, ops, link: said_after(&process, "Page"), process }
    }

    /// The webhook URL of the line it serves, fragment included.
    pub(crate) fn webhook(&self) -> String {
        said_after(&self.process, "Webhook")
    }

    /// Asks it to end, and insists that it does so well.
    pub(crate) async fn stop(self) {
        self.process.terminate().unwrap();
        let ended = self.process.wait(SOON).await.unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }
}

/// The word that the banner has after a label.
fn said_after(process: &Casewire, label: &str) -> String {
    let said = process.stdout();
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix(label)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

/// What a refused command says: one sentence on standard error, exit code 1.
pub(crate) fn sentence(finished: Finished) -> String {
    let Finished { status, stdout, stderr } = finished;
    assert_eq!(status.code(), Some(1), "{stdout}{stderr}");
    let said: Vec<_> = stderr.lines().filter(|line| !line.starts_with('{')).collect();
    assert!(said.len() == 1 && said[0].starts_with("casewire: "), "{stderr}");
    said[0].to_owned()
}
