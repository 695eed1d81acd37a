//! The registry that all parts of a process share.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use casewire_domain::TraceParent;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::registry::{Metric, Registry, Unit};
use tracing::Span;

use super::catalogue::{self, Kind};
use crate::telemetry::trace;

/// All metrics of the process. Cheap to clone; every clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    registry: Mutex<Registry>,
    looks: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Registers what is listed, under its name there.
    pub fn register(&self, listed: &'static catalogue::Metric, metric: impl Metric) {
        let mut name = listed.name();
        // The encoder puts both back.
        if listed.kind() == Kind::Counter {
            name = name.strip_suffix("_total").unwrap_or(name);
        }
        let unit = listed.unit().and_then(|unit| Some((name.strip_suffix(unit)?.strip_suffix('_')?, unit)));
        let mut registry = lock(&self.0.registry);
        match unit {
            Some((name, unit)) => {
                registry.register_with_unit(name, listed.help(), Unit::Other(unit.to_owned()), metric);
            }
            None => registry.register(name, listed.help(), metric),
        }
    }

    /// Before metrics are shown, `look` sets those that are not set by what happens. Keep it quick.
    pub fn before_showing(&self, look: impl Fn() + Send + Sync + 'static) {
        lock(&self.0.looks).push(Box::new(look));
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// When a metric cannot be written, which would be a mistake in its code.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        for look in lock(&self.0.looks).iter() {
            look();
        }
        let mut text = String::new();
        encode(&mut text, &lock(&self.0.registry))?;
        Ok(text)
    }
}

/// A histogram whose buckets lead to a trace.
pub type Traced = HistogramWithExemplars<Exemplar>;

/// Leads from an observation to its trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Exemplar {
    trace_id: String,
}

impl Exemplar {
    /// The trace of a span, where that is sent: an id nobody can look up is of no use.
    pub fn of(span: &Span) -> Option<Self> {
        trace::sampled_trace_id(span).map(|trace_id| Self { trace_id })
    }

    /// As [`Exemplar::of`], where the trace is at hand already.
    pub fn of_trace(trace: &TraceParent) -> Option<Self> {
        trace.is_sampled().then(|| Self { trace_id: trace.trace_id().to_owned() })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while registering leaves nothing half done that matters.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
