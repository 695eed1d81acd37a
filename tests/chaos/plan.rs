//! What a row asks to be started.

use std::path::{Path, PathBuf};

use crate::stage::REQUEST;

/// How often a worker tells that it still holds what it has: well within the wait for acknowledgements.
const HOLD_INTERVAL: &str = "WORKER__HOLD_INTERVAL";

/// What to start.
pub(crate) struct Plan {
    pub(crate) ingests: usize,
    pub(crate) workers: usize,
    pub(crate) proxied: bool,
    pub(crate) nats_extra: String,
    pub(crate) nats_url: Option<String>,
    pub(crate) line: Vec<String>,
    pub(crate) a_second: u32,
    pub(crate) program: PathBuf,
    pub(crate) postgres_in: Option<PathBuf>,
    pub(crate) settings: Vec<(String, String)>,
}

impl Plan {
    pub(crate) fn of(ingests: usize, workers: usize) -> Self {
        let plan = Self {
            ingests,
            workers,
            proxied: false,
            nats_extra: String::new(),
            nats_url: None,
            line: Vec::new(),
            a_second: 1_000,
            program: env!("CARGO_BIN_EXE_casewire").into(),
            postgres_in: None,
            settings: Vec::new(),
        };
        // What a killed worker held comes back, and what it was sending is given up, within a row.
        plan.set("STREAM__ACK_WAIT", "5s")
            .set(HOLD_INTERVAL, "1s")
            .set("SENDER__REQUEST_TIMEOUT", &format!("{}s", REQUEST.as_secs()))
            .set("SENDER__LEASE", "6s")
            .set("WORKER__RETRY_MOST", "2s")
            .set("STREAM__MAX_BYTES", "256MiB")
    }

    /// A fault proxy in every link.
    pub(crate) fn with_proxies(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// A setting of every role: `STREAM__ACK_WAIT`.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lines of the nats-server's configuration.
    pub(crate) fn nats(mut self, extra: &str) -> Self {
        extra.clone_into(&mut self.nats_extra);
        self
    }

    /// A stream that somebody else runs.
    pub(crate) fn nats_at(mut self, url: &str) -> Self {
        self.nats_url = Some(url.to_owned());
        self
    }

    /// More arguments of `line add`.
    pub(crate) fn line(mut self, arguments: &[&str]) -> Self {
        self.line.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Texts a second of the line.
    pub(crate) fn a_second(mut self, rate: u32) -> Self {
        self.a_second = rate;
        self
    }

    /// Another program for all roles than the one under test.
    pub(crate) fn program(mut self, program: PathBuf) -> Self {
        self.program = program;
        // An earlier version refuses settings that it does not know.
        self.settings.retain(|(name, _)| name != HOLD_INTERVAL);
        self
    }

    /// The database on another disk.
    pub(crate) fn postgres_in(mut self, place: &Path) -> Self {
        self.postgres_in = Some(place.to_owned());
        self
    }
}
