//! Which trace a span belongs to, as it travels with events and outbox rows.

use casewire_domain::TraceParent;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::names;

/// The trace and span of a span, to be kept with what it causes. `None` where telemetry was not started.
pub fn parent_of(span: &Span) -> Option<TraceParent> {
    let context = span_context(span);
    let (trace, span) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
    context.is_valid().then(|| TraceParent::new(trace, span, context.trace_flags().to_u8()))
}

/// The id of a span's trace when that trace is sent, for the exemplars of histograms: an id nobody can look up is
/// of no use there.
pub fn sampled_trace_id(span: &Span) -> Option<String> {
    let context = span_context(span);
    context.is_sampled().then(|| context.trace_id().to_string())
}

/// Makes a span the child of another process's. Call it before the span is first entered.
pub fn set_parent(span: &Span, parent: &TraceParent) {
    if let Some(context) = remote(parent) {
        names::move_below(span, &context);
        // It fails only where no spans are recorded.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }
}

/// Links a span to another process's: for work that has several causes, or is repeated.
pub fn link(span: &Span, other: &TraceParent) {
    if let Some(context) = remote(other) {
        span.add_link(context);
    }
}

/// Links a span to another of this process.
pub fn link_to(span: &Span, other: &Span) {
    let context = span_context(other);
    if context.is_valid() {
        span.add_link(context);
    }
}

fn span_context(span: &Span) -> SpanContext {
    names::find(span).unwrap_or_else(|| span.context().span().span_context().clone())
}

fn remote(parent: &TraceParent) -> Option<SpanContext> {
    let mut parts = parent.as_str().split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}
