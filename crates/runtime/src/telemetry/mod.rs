//! Logs and traces.
//!
//! Log lines are text on a terminal and JSON elsewhere. Spans get trace ids even where no traces are sent, so that
//! log lines of one text can be found together; they are sent only when an endpoint is set. Redaction is in the
//! types that are logged, not here: whatever is logged is also copied into spans.

mod export;
mod json;
mod names;
pub mod trace;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogFormat, Telemetry};

pub use export::{FLUSH_LIMIT, Guard};

/// Who writes the logs, sends the traces and serves the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The role: `up`, `ingest`, `worker`, ….
    pub role: &'static str,
    /// The version of the program.
    pub version: &'static str,
    /// The commit it was built from, or `unknown`.
    pub revision: &'static str,
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For services: what collects logs reads it.
    Stdout,
    /// For commands whose output is an answer.
    Stderr,
}

/// Why telemetry could not start. Final: the configuration or the installation must change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No exporter for the endpoint could be made: the endpoint is no URL, or the system has no certificates.
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// This process has a subscriber.
    #[error("logging was started twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logs and traces for the whole process. Keep the guard, and flush it last.
///
/// # Errors
/// See [`Error`].
pub fn init(settings: &Telemetry, identity: Identity, output: Output) -> Result<Guard, Error> {
    let terminal = match output {
        Output::Stdout => std::io::stdout().is_terminal(),
        Output::Stderr => std::io::stderr().is_terminal(),
    };
    let guard = match output {
        Output::Stdout => {
            let (subscriber, guard) = subscriber(settings, identity, terminal, std::io::stdout)?;
            subscriber.try_init().map(|()| guard)
        }
        Output::Stderr => {
            let (subscriber, guard) = subscriber(settings, identity, terminal, std::io::stderr)?;
            subscriber.try_init().map(|()| guard)
        }
    };
    Ok(guard?)
}

/// The subscriber that [`init`] installs, writing anywhere: tests read what would be logged.
///
/// # Errors
/// [`Error::Exporter`].
pub fn subscriber<W>(
    settings: &Telemetry,
    identity: Identity,
    terminal: bool,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + for<'a> LookupSpan<'a>, Guard), Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let json = match settings.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let log: Box<dyn Layer<Registry> + Send + Sync> = if json {
        json::JsonLines::new(identity, writer).boxed()
    } else {
        tracing_subscriber::fmt::layer().with_ansi(terminal).with_writer(writer).boxed()
    };
    let (spans, guard) = export::layer(settings, identity)?;
    Ok((Registry::default().with(log).with(spans).with(filter(settings)), guard))
}

/// What becomes a line, and what a span. One filter for both layers, which is asked once for each place in the code: a
/// filter of each layer's own would be asked at each step of each span.
fn filter(settings: &Telemetry) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<>> {
    let (lines, spans) = (settings.log_filter.targets(), export::spans());
    // Spans pass whatever the level of the lines: they carry the trace id of a warning inside them.
    let is_enabled = move |metadata: &Metadata<'_>| {
        let wanted = if metadata.is_span() { &spans } else { &lines };
        wanted.would_enable(metadata.target(), metadata.level())
    };
    let most = settings.log_filter.most_verbose().max(LevelFilter::INFO);
    FilterFn::new(is_enabled).with_max_level_hint(most)
}

#[cfg(test)]
mod tests;
