//! From a request to a stored event, or to the reason why not.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::Payload;
use casewire_bus::shard_of;
use casewire_domain::directory::Method;
use casewire_domain::{DedupeId, Event, EventKind, Source, TraceParent};
use casewire_runtime::telemetry::trace;
use casewire_twilio::content::{self, Content};
use casewire_twilio::signature::{self, SignedRequest, verify};
use casewire_twilio::webhook;
use chrono::Utc;
use tracing::{Span, info_span};

use crate::body;
use crate::lines::Line;
use crate::refusal::Refusal;
use crate::routes::note_line;
use crate::storage::{Stored, Way};
use crate::thread::Thread;

/// [`signature::HEADER`], read once for all requests.
static SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
/// [`signature::SETTINGS_HEADER`].
static SETTINGS: HeaderName = HeaderName::from_static("x-twilio-webhooks-signature-settings");

/// Reads, verifies and stores a webhook. A line that does not exist takes the same steps as one that does.
pub(crate) async fn accept(
    kind: EventKind,
    request: &HttpRequest,
    payload: &mut Payload,
    thread: &Thread,
    span: &Span,
) -> Result<Stored, Refusal> {
    let state = &thread.state;
    let webhook_id = request.match_info().get("line").unwrap_or_default();
    let lines = thread.lines().ok_or(Refusal::NoDirectory)?;
    let line = lines.line(webhook_id);
    note_line(span, webhook_id, line);
    let settings = &state.settings;
    let body = body::read(request, payload, settings.max_body.to_usize(), settings.body_timeout).await?;
    let raw = Raw {
        method: request.method().as_str(),
        target: target(request),
        content_type: content_type(request),
        body,
    };
    let content = Content::read(
        raw.method,
        raw.target,
        raw.content_type,
        &raw.body,
        settings.max_parameters.get().into(),
    )?;
    content
        .parameters
        .check_names(settings.max_parameter_name.get().into())
        .map_err(content::Error::Malformed)?;
    let account_sid = check_signature(request, &raw, &content, line, thread)?;
    // Only now, since lines differ in their methods: it would tell who is no caller of ours which lines there are.
    check_method(kind, request, line)?;
    let peer = webhook::peer(kind, &content.parameters).unwrap_or_default();
    let shard = shard_of(webhook_id, peer, state.storage.shards());
    let dedupe_id =
        webhook::dedupe_id(account_sid, kind, webhook_id, raw.target, &content.parameters, &raw.body);
    publish(raw.into_event(dedupe_id, kind, webhook_id), shard, thread, span).await
}

/// A request as it came.
struct Raw<'a> {
    method: &'a str,
    target: &'a str,
    content_type: &'a str,
    body: Vec<u8>,
}

impl Raw<'_> {
    /// The event that travels: all of the request, and not yet its trace.
    fn into_event(self, dedupe_id: DedupeId, kind: EventKind, webhook_id: &str) -> Event {
        Event {
            dedupe_id,
            kind,
            source: Source::Webhook,
            line: webhook_id.to_owned(),
            method: self.method.to_owned(),
            target: self.target.to_owned(),
            content_type: self.content_type.to_owned(),
            body: self.body,
            received_at: Utc::now(),
            trace: None,
        }
    }
}

/// Delivery callbacks are always POST; texts come as the line says.
fn check_method(kind: EventKind, request: &HttpRequest, line: &Line) -> Result<(), Refusal> {
    let taken = if kind == EventKind::Message { line.method } else { Method::Post };
    if taken.allows(request.method().as_str()) {
        return Ok(());
    }
    let allow = match taken {
        Method::Post => "POST",
        Method::Get => "GET",
        Method::Any => "GET, POST",
    };
    Err(Refusal::Method { allow })
}

/// The account whose key signed the request.
fn check_signature<'a>(
    request: &HttpRequest,
    raw: &Raw<'_>,
    content: &Content,
    line: &'a Line,
    thread: &Thread,
) -> Result<&'a str, Refusal> {
    let signed = SignedRequest {
        public_url: thread.state.public_url.as_str(),
        target: raw.target,
        content,
        body: &raw.body,
        signature: header(request, &SIGNATURE),
        settings: header(request, &SETTINGS),
    };
    match (verify(&signed, &line.keys.ring), &line.account_sid) {
        (Ok(verified), Some(account_sid)) => {
            thread.tally.signed(verified.signer);
            Ok(account_sid)
        }
        // A key that could not be opened may have signed it.
        (Err(signature::Refused::Mismatch), _) if !line.keys.complete => Err(Refusal::Sealed),
        (Err(refused), _) => Err(Refusal::Signature(refused)),
        (Ok(_), None) => Err(Refusal::Signature(signature::Refused::Mismatch)),
    }
}

async fn publish(mut event: Event, shard: u32, thread: &Thread, webhook: &Span) -> Result<Stored, Refusal> {
    let state = &thread.state;
    let _place = thread.place().ok_or(Refusal::Overloaded)?;
    // A span of its own where somebody will see it; log lines are as well off with the webhook's.
    event.trace = trace::parent_of(webhook);
    let is_seen = event.trace.as_ref().is_some_and(TraceParent::is_sampled);
    let own = is_seen.then(|| sending(webhook, &event.dedupe_id));
    if let Some(own) = &own {
        event.trace = trace::parent_of(own);
    }
    let span = own.as_ref().unwrap_or(webhook);
    let way = Way { stream: thread.stream().await, shard, span, tally: &thread.tally };
    state.storage.store(&event, &way).await.map_err(Refusal::Publish)
}

/// The span of an event's way to the stream.
fn sending(webhook: &Span, dedupe_id: &DedupeId) -> Span {
    info_span!(
        parent: webhook,
        "publish inbound",
        otel.kind = "producer",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.template = "in.{shard}.{kind}",
        messaging.message.id = %dedupe_id,
    )
}

/// The request target as it was sent. The server keeps its bytes; only a fragment, which nobody signs, is cut off.
fn target(request: &HttpRequest) -> &str {
    request.uri().path_and_query().map_or("", |target| target.as_str())
}

fn content_type(request: &HttpRequest) -> &str {
    header(request, &CONTENT_TYPE).unwrap_or_default()
}

/// The first header of this name, when it is text.
fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_read_are_those_the_provider_sends() {
        for (name, sent) in [(&SIGNATURE, signature::HEADER), (&SETTINGS, signature::SETTINGS_HEADER)] {
            assert!(name.as_str().eq_ignore_ascii_case(sent), "{name}");
        }
    }
}
