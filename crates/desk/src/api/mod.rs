//! The REST API under `/api/v1`.

mod body;
mod cases;
mod description;
mod events;
mod fields;
mod messages;
mod query;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource};
use casewire_runtime::http::read;

use crate::auth::Guard;
use crate::problem::Problem;
use crate::traffic::watch;

pub use body::{CaseBody, CaseList};
pub use fields::BodyLimits;

/// Mounts the API behind its guard. Only the description is for everybody: it holds nothing of this
/// installation, and tools fetch it without a token.
pub(crate) fn routes(service: &mut ServiceConfig, guard: Guard) {
    service.service(
        resource("/api/v1/openapi.json", "GET, HEAD")
            .wrap(from_fn(watch))
            .route(read().to(description::show)),
    );
    service.service(
        web::scope("/api/v1")
            .wrap(guard)
            .wrap(from_fn(watch))
            .service(resource("/cases", "GET, HEAD").route(read().to(cases::list)))
            .service(
                resource("/cases/{number}", "GET, HEAD, PATCH")
                    .route(read().to(cases::show))
                    .route(web::patch().to(cases::set_status)),
            )
            .service(
                resource("/cases/{number}/messages/{id}", "PATCH").route(web::patch().to(messages::resolve)),
            )
            .service(resource("/cases/{number}/replies", "POST").route(web::post().to(cases::reply)))
            .service(resource("/events", "GET").route(web::get().to(events::follow)))
            .default_service(web::to(async || Err::<HttpResponse, _>(Problem::NotFound))),
    );
}

/// A resource that says which methods it takes when it is asked for another.
fn resource(path: &'static str, methods: &'static str) -> Resource {
    let refuse = move || async move { Err::<HttpResponse, _>(Problem::MethodNotAllowed(methods)) };
    web::resource(path).default_service(web::to(refuse))
}
