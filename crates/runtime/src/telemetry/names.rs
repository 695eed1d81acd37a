//! Trace and span ids where no traces are sent: they still travel with events and stand in log lines, so that what
//! became of one text can be found. Recording spans for nobody costs several times as much.

use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tracing::span::{Attributes, Id};
use tracing::{Span, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use tracing_subscriber::{Layer, Registry};

/// The layer that names spans.
pub(super) struct Names;

impl<S> Layer<S> for Names
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id) {
            let name = below(span.parent().and_then(|parent| name_of(&parent)).as_ref());
            span.extensions_mut().insert(name);
        }
    }
}

/// What a span was named, if this layer did it.
pub(super) fn name_of<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<SpanContext> {
    span.extensions().get::<SpanContext>().cloned()
}

/// The same of a span in hand.
pub(super) fn find(span: &Span) -> Option<SpanContext> {
    in_registry(span, |found| name_of(&found))
}

/// Names a span again, as a child of another process's.
pub(super) fn move_below(span: &Span, parent: &SpanContext) {
    in_registry(span, |found| {
        let mut extensions = found.extensions_mut();
        extensions.get_mut::<SpanContext>().map(|name| *name = below(Some(parent)))
    });
}

fn in_registry<T>(span: &Span, act: impl FnOnce(SpanRef<'_, Registry>) -> Option<T>) -> Option<T> {
    let found = span.with_subscriber(|(id, dispatch)| {
        let registry: &Registry = dispatch.downcast_ref()?;
        act(registry.span(id)?)
    });
    found.flatten()
}

/// A new span of the parent's trace, or of one of its own.
fn below(parent: Option<&SpanContext>) -> SpanContext {
    let ids = RandomIdGenerator::default();
    let trace = parent.map_or_else(|| ids.new_trace_id(), SpanContext::trace_id);
    SpanContext::new(trace, ids.new_span_id(), TraceFlags::NOT_SAMPLED, false, TraceState::NONE)
}
