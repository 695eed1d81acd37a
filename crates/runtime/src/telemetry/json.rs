//! Log lines as JSON: one object per line, with the trace and span they belong to and the fields of the spans
//! around them.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;

use chrono::{SecondsFormat, Utc};
use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{Identity, names};

/// The layer that writes such lines.
pub(super) struct JsonLines<W> {
    identity: Identity,
    writer: W,
    /// Needed to ask the other layer for a span's trace id.
    dispatch: OnceLock<WeakDispatch>,
}

impl<W> JsonLines<W> {
    pub(super) fn new(identity: Identity, writer: W) -> Self {
        Self { identity, writer, dispatch: OnceLock::new() }
    }

    /// The trace and span id of a span, in hex.
    fn ids<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>) -> Option<(String, String)> {
        let recorded = || {
            let dispatch = self.dispatch.get()?.upgrade()?;
            let context = tracing_opentelemetry::get_otel_context(&span.id(), &dispatch)?;
            Some(context.span().span_context().clone())
        };
        let context = names::name_of(span).or_else(recorded)?;
        context.is_valid().then(|| (context.trace_id().to_string(), context.span_id().to_string()))
    }
}

/// Fields, as the inside of a JSON object with a comma after each. Spans are many and lines are few, so a span keeps them
/// in the one form that takes a single allocation, and a line reads them back.
struct Fields(Vec<u8>);

impl Fields {
    /// Room for what most spans have.
    const ROOM: usize = 256;

    fn new() -> Self {
        Self(Vec::with_capacity(Self::ROOM))
    }

    fn put(&mut self, field: &Field, value: impl Serialize) {
        // Those of `otel.` are for the other layer.
        if field.name().starts_with("otel.") {
            return;
        }
        let before = self.0.len();
        let written = serde_json::to_writer(&mut self.0, field.name()).and_then(|()| {
            self.0.push(b':');
            serde_json::to_writer(&mut self.0, &value)
        });
        match written {
            Ok(()) => self.0.push(b','),
            // What cannot be said in JSON is left out.
            Err(_) => self.0.truncate(before),
        }
    }

    /// Adds them to a line; where names meet, these hold.
    fn read_into(&self, line: &mut Map<String, Value>) {
        let inside = self.0.strip_suffix(b",").unwrap_or_default();
        let object = [b"{", inside, b"}"].concat();
        line.extend(serde_json::from_slice::<Map<String, Value>>(&object).unwrap_or_default());
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut line = Map::new();
        // Outer spans first, so that the inner one's fields hold where names meet.
        for span in ctx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                fields.read_into(&mut line);
            }
        }
        let mut own = Fields::new();
        event.record(&mut own);
        own.read_into(&mut line);
        let metadata = event.metadata();
        // Lines of the `log` crate bring their origin as fields.
        let target = line.remove("log.target").unwrap_or_else(|| metadata.target().into());
        line.retain(|name, _| !name.starts_with("log."));
        line.insert("timestamp".into(), Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("target".into(), target);
        line.insert("role".into(), self.identity.role.into());
        line.insert("version".into(), self.identity.version.into());
        if let Some((trace, span)) = ctx.event_span(event).and_then(|span| self.ids(&span)) {
            line.insert("trace_id".into(), trace.into());
            line.insert("span_id".into(), span.into());
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // When the log cannot be written there is nowhere to say so.
        let _ = self.writer.make_writer_for(metadata).write_all(text.as_bytes());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}
