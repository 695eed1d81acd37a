//! The webhook endpoints.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload, ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse};
use casewire_domain::EventKind;
use casewire_twilio::twiml;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Span, debug, info, info_span, warn};

use crate::State;
use crate::accept::accept;
use crate::lines::Line;
use crate::metrics::Kind;
use crate::refusal::Refusal;
use crate::thread::Thread;

/// A line's webhook for texts.
const MESSAGE: &str = "/inbound/{line}";
/// For delivery callbacks of a text and attempt of ours.
const STATUS: &str = "/inbound/{line}/status/{message}.{attempt}";
/// For delivery callbacks of texts that were sent otherwise.
const STATUS_OF_ANY: &str = "/inbound/{line}/status";

/// Mounts the endpoints for one thread. Methods are looked at only when the caller is known, since lines differ in them.
pub(crate) fn mount(app: &mut ServiceConfig, state: &Data<State>) {
    let endpoints = [
        (MESSAGE, EventKind::Message),
        (STATUS, EventKind::MessageStatus),
        (STATUS_OF_ANY, EventKind::MessageStatus),
    ];
    let thread = Data::new(Thread::new(state.clone()));
    for (route, kind) in endpoints {
        let handler = move |request: HttpRequest, payload: Payload, thread: Data<Thread>| async move {
            handle(kind, route, request, payload, &thread).await
        };
        app.service(resource(route).app_data(thread.clone()).to(handler));
    }
}

/// Accepts or refuses, answers, and leaves a span and numbers behind.
async fn handle(
    kind: EventKind,
    route: &'static str,
    request: HttpRequest,
    mut payload: Payload,
    thread: &Thread,
) -> HttpResponse {
    let (state, started) = (&thread.state, Instant::now());
    // A root of its own: whoever calls from the internet does not choose our trace.
    let span = info_span!(
        parent: None,
        "webhook",
        otel.name = format_args!("{} {route}", method_name(&request)),
        otel.kind = "server",
        http.request.method = method_name(&request),
        http.route = route,
        http.response.status_code = Empty,
        webhook.outcome = Empty,
        line = Empty,
    );
    // Handed on, not entered: entering is paid for each time the webhook is looked at while it waits.
    let result = accept(kind, &request, &mut payload, thread, &span).await;
    let (outcome, response) = match &result {
        Ok(stored) => (stored.outcome(), accepted(kind)),
        Err(refusal) => {
            span.in_scope(|| log(refusal));
            (refusal.outcome(), refusal.response(&state.settings))
        }
    };
    span.record("http.response.status_code", response.status().as_u16());
    span.record("webhook.outcome", outcome.as_str());
    thread.tally.answered(Kind::from(kind), outcome, started.elapsed(), &span);
    response
}

/// The method as a label: what is not a common one may be anything.
fn method_name(request: &HttpRequest) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        _ => "_OTHER",
    }
}

fn accepted(kind: EventKind) -> HttpResponse {
    match kind {
        EventKind::Message => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, twiml::CONTENT_TYPE)).body(twiml::EMPTY)
        }
        EventKind::MessageStatus | EventKind::Other => HttpResponse::NoContent().finish(),
    }
}

/// Says once why a webhook was refused; the line and the trace are in the span around it.
fn log(refusal: &Refusal) {
    match refusal {
        Refusal::Signature(reason) => info!(event = "webhook_refused", "a webhook was refused: {reason}"),
        Refusal::Publish(reason) => warn!(event = "publish_failed", "an event was not stored: {reason}"),
        Refusal::Overloaded => warn!(event = "overloaded", "too many events wait for the stream"),
        // The reason was told when the directory was opened.
        Refusal::NoDirectory | Refusal::Sealed => {
            debug!(event = "not_verifiable", "a webhook was put off: {refusal}")
        }
        Refusal::Method { .. }
        | Refusal::Compressed
        | Refusal::Content(_)
        | Refusal::TooLarge
        | Refusal::Slow
        | Refusal::Broken => debug!(event = "webhook_invalid", "a webhook was refused: {refusal}"),
    }
}

/// Notes which line a request is for. A name that is none of ours may hold anything, so it is not repeated.
pub(crate) fn note_line(span: &Span, webhook_id: &str, line: &Line) {
    let name = if line.account_sid.is_some() { webhook_id } else { "unknown" };
    span.record("line", name);
}
