//! A request that was not taken, answered in Twilio's shape: `{code, message, more_info, status}`.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use crate::codes;

/// Why a request was not taken. It holds no number and no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: u32,
    pub(crate) retry_after_s: Option<u64>,
}

impl Refusal {
    /// The refusal with this of Twilio's codes.
    pub(crate) fn of(code: u32) -> Self {
        Self { status: codes::of(code).0, code, retry_after_s: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(codes::of(self.code).1)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after_s {
            answer.insert_header((RETRY_AFTER, seconds));
        }
        if self.status == 401 {
            answer.insert_header(("WWW-Authenticate", "Basic realm=\"Twilio API\""));
        }
        answer.json(json!({
            "code": self.code,
            "message": self.to_string(),
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        }))
    }
}
