//! A collector of traces, by OTLP over HTTP, that keeps what it is sent, byte for byte.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use prost::Message;

type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

pub(crate) struct Collector {
    url: String,
    kept: Kept,
}

/// A span, its ids in hex.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// `service.name` of who sent it.
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of its trace.
    pub(crate) parent: String,
    /// Trace and span of each link.
    pub(crate) links: Vec<(String, String)>,
    attributes: Vec<(String, String)>,
}

impl Span {
    /// What an attribute says; nothing without it.
    pub(crate) fn says(&self, attribute: &str) -> &str {
        let found = self.attributes.iter().find(|(name, _)| name == attribute);
        found.map_or("", |(_, value)| value)
    }
}

impl Collector {
    /// Listens until the test's runtime ends.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Kept::default();
        let data = web::Data::new(kept.clone());
        let keep = async |kept: web::Data<Kept>, body: web::Bytes| {
            kept.lock().unwrap().push(body.to_vec());
            HttpResponse::Ok().content_type("application/x-protobuf").finish()
        };
        let app = move || {
            let traces = web::resource("/v1/traces").route(web::post().to(keep));
            App::new().app_data(data.clone()).app_data(web::PayloadConfig::new(64 << 20)).service(traces)
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        tokio::spawn(server);
        Self { url, kept }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every request so far: protobuf, in which texts stand as they are.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.kept.lock().unwrap().concat()
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let kept = self.kept.lock().unwrap();
        kept.iter().flat_map(|bytes| spans(ExportTraceServiceRequest::decode(&bytes[..]).unwrap())).collect()
    }
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        let service = attributes.iter().find(|attribute| attribute.key == "service.name");
        let service = service.map(|attribute| text(attribute.value.as_ref())).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let link = |link: &Link| (hex(&link.trace_id), hex(&link.span_id));
            let attributes = span.attributes.iter();
            all.push(Span {
                service: service.clone(),
                kind: span.kind(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                links: span.links.iter().map(link).collect(),
                attributes: attributes.map(|it| (it.key.clone(), text(it.value.as_ref()))).collect(),
                name: span.name,
            });
        }
    }
    all
}

fn text(value: Option<&opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
