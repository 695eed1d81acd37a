//! The API's description, made from the code that serves it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, SecurityRequirement};
use utoipa::{Modify, OpenApi as _};

use super::{cases, events, messages};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "casewire",
        description = "Texts to a phone number as cases, and replies as texts. Errors are \
            `application/problem+json` (RFC 9457). `casewire token create --name me` makes a token."
    ),
    paths(cases::list, cases::show, cases::reply, cases::set_status, messages::resolve, events::follow),
    tags(
        (name = "cases", description = "Cases, their texts, replies to them"),
        (name = "events", description = "What happens to cases, live"),
    ),
    modifiers(&Bearer),
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut OpenApi) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("cw_ and 43 characters").build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        description.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    }
}

static JSON: LazyLock<String> = LazyLock::new(|| Description::openapi().to_json().unwrap_or_default());

/// The description.
pub(crate) async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(JSON.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_every_path_and_its_proof() {
        let described: serde_json::Value = serde_json::from_str(&JSON).unwrap();
        let paths: Vec<_> = described["paths"].as_object().unwrap().keys().collect();
        assert_eq!(
            paths,
            [
                "/api/v1/cases",
                "/api/v1/cases/{number}",
                "/api/v1/cases/{number}/messages/{id}",
                "/api/v1/cases/{number}/replies",
                "/api/v1/events"
            ]
        );
        assert_eq!(described["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    }
}
