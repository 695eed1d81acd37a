//! The trace context of a span as W3C header fields, to travel with events and outbox rows.

use std::collections::BTreeMap;

use casewire_domain::TraceParent;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// `traceparent` and `tracestate` by name; empty when there is no trace.
pub type Carrier = BTreeMap<String, String>;

/// The context of a span, for what it causes elsewhere.
pub fn context_of(span: &Span) -> Carrier {
    let mut fields = Fields(Carrier::new());
    TraceContextPropagator::new().inject_context(&span.context(), &mut fields);
    fields.0
}

/// The field that names trace and span.
const TRACEPARENT: &str = "traceparent";

/// What a carrier says of trace and span. The other field is for traces that others began, and ours begin here.
pub fn parent_in(carrier: &Carrier) -> Option<TraceParent> {
    TraceParent::parse(carrier.get(TRACEPARENT)?)
}

/// The context of a span, to be kept with what it causes.
pub fn parent_of(span: &Span) -> Option<TraceParent> {
    let context = span_context(span);
    let flags = context.trace_flags().to_u8();
    TraceParent::parse(&format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
        .filter(|_| context.is_valid())
}

/// A carrier of what was kept.
pub fn carrier(parent: &TraceParent) -> Carrier {
    Carrier::from([(TRACEPARENT.to_owned(), parent.as_str().to_owned())])
}

/// The id of a span's trace when that trace is sent, for the exemplars of histograms: an id nobody can look up is
/// of no use there.
pub fn sampled_trace_id(span: &Span) -> Option<String> {
    let context = span_context(span);
    context.is_sampled().then(|| context.trace_id().to_string())
}

/// Makes a span the child of what the fields tell of; a fieldless or malformed context changes nothing. Call it
/// before the span is first entered.
pub fn set_parent(span: &Span, carrier: &Carrier) {
    if let Some(context) = remote(carrier) {
        // It fails only where telemetry was never started.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }
}

/// Links a span to what the fields tell of: for work that has several causes, or is repeated.
pub fn link(span: &Span, carrier: &Carrier) {
    if let Some(context) = remote(carrier) {
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
    span.context().span().span_context().clone()
}

fn remote(carrier: &Carrier) -> Option<SpanContext> {
    let fields = Fields(carrier.clone());
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &fields);
    let context = context.span().span_context().clone();
    context.is_valid().then_some(context)
}

struct Fields(Carrier);

impl Injector for Fields {
    fn set(&mut self, key: &str, value: String) {
        // `tracestate` is most often empty.
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value);
        }
    }
}

impl Extractor for Fields {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}
