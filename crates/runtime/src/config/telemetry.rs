//! `[telemetry]`: logs and traces.

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::section::section;
use super::units::Share;
use super::url::HttpUrl;
use super::value::{Scalar, choice};

choice! {
    /// How log lines look.
    pub enum LogFormat: Text, "\"auto\", \"text\" or \"json\"" {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// One object per line, for machines.
        Json = "json",
    }
}

/// Which log lines are written: `info`, or directives such as `info,casewire_worker=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// What passes.
    pub(crate) fn targets(&self) -> Targets {
        // Only what can be read is kept: see `parse`.
        self.0.parse().unwrap_or_default()
    }

    /// The most verbose level that any of its directives lets pass.
    pub(crate) fn most_verbose(&self) -> LevelFilter {
        let targets = self.targets();
        let levels = targets.iter().map(|(_, level)| level).chain(targets.default_level());
        levels.max().unwrap_or(LevelFilter::OFF)
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        // Below a warning these tell only how many threads they have, which tables they look at, what they did not
        // have to create, and every connection.
        let quiet = "actix_server=warn,sea_orm_migration=warn,sqlx::postgres::notice=warn,async_nats=warn";
        Self(format!("info,{quiet}"))
    }
}

impl Scalar for LogFilter {
    const EXPECTED: &'static str = "a level, or directives such as \"info,casewire_worker=debug\"";

    fn parse(text: &str) -> Option<Self> {
        let valid = !text.is_empty() && text.parse::<Targets>().is_ok();
        valid.then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

section! {
    /// Logs and traces.
    pub struct Telemetry {
        /// How log lines look: auto (text on a terminal, JSON elsewhere), text or json.
        pub log_format: LogFormat = LogFormat::Auto,
        /// Which log lines are written: a level, or directives such as info,casewire_worker=debug.
        pub log_filter: LogFilter = LogFilter::default(),
        /// Where traces go, by OTLP over HTTP (`/v1/traces` is appended). Unset: nowhere, since an exporter without
        /// a collector would log an error every few seconds.
        #[such_as("http://127.0.0.1:4318")]
        pub otlp_endpoint: Option<HttpUrl> = None,
        /// Share of traces that are sent. One in ten shows every kind of trouble at a tenth of the cost.
        pub sample_ratio: Share = Share::TENTH,
    }
}
