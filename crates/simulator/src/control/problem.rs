//! Errors of the control API, as `application/problem+json`.

use std::fmt;

use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::faults::BadRule;
use crate::texting::TextError;

/// A request that was not done, and why.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(super) fn unreadable(error: &JsonPayloadError) -> Self {
        Self::new(error.status_code().as_u16(), error.to_string())
    }
}

impl From<TextError> for Problem {
    fn from(error: TextError) -> Self {
        let status = match error {
            TextError::Address | TextError::TooLong => 400,
            TextError::UnknownLine => 404,
            TextError::UnknownAccount => 409,
            TextError::Busy | TextError::NotRunning => 503,
        };
        Self::new(status, error.to_string())
    }
}

impl From<BadRule> for Problem {
    fn from(error: BadRule) -> Self {
        Self::new(400, error.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let title = status.canonical_reason().unwrap_or("Error");
        let body =
            json!({ "type": "about:blank", "title": title, "status": self.status, "detail": self.detail });
        HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
    }
}
