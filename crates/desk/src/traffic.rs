//! What every request leaves behind: a span and numbers.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use crate::metrics::{Metrics, method_name};

/// Where a path leads that leads nowhere.
const NO_ROUTE: &str = "other";

/// Wraps a scope or a resource. The span is a root of its own: whoever calls does not choose our trace.
pub(crate) async fn watch<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let Some(metrics) = request.app_data::<Data<Metrics>>().cloned() else {
        return next.call(request).await;
    };
    let started = Instant::now();
    let method = method_name(request.method().as_str());
    let route = request.match_pattern().unwrap_or_else(|| NO_ROUTE.to_owned());
    let active = metrics.asked(method);
    let span = info_span!(
        parent: None,
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    let answer = next.call(request).instrument(span.clone()).await;
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    drop(active);
    span.record("http.response.status_code", status.as_u16());
    metrics.answered(method, route, status.as_u16(), started.elapsed());
    answer
}
