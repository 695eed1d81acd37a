//! What went wrong, for whoever asked: `application/problem+json` (RFC 9457).
//!
//! A request's own mistakes are told in full, all at once. What failed inside is logged and told only as
//! "try again", since it would help nobody but an attacker.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not done. Each says, by its status, whether repeating it can help: only
/// [`Problem::Unavailable`] can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No usable token or session.
    Unauthorized(Missing),
    /// A request by cookie that did not come from our own page.
    CrossSite,
    /// The path leads nowhere.
    NotFound,
    /// No case has this number.
    NoSuchCase,
    /// The path takes other methods, which are these.
    MethodNotAllowed(&'static str),
    /// The body did not come in time.
    Timeout,
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The body is not said to be JSON.
    NotJson,
    /// The body is no JSON at all.
    Malformed {
        /// Where reading stopped, from 1; 0 where there is no such place.
        line: usize,
        /// The column, likewise.
        column: usize,
    },
    /// The request is understood and wrong in these places.
    Invalid(Vec<Mistake>),
    /// The contact must not be texted.
    OptedOut,
    /// The contact cannot be texted.
    Unreachable,
    /// The line replies would leave from is gone.
    LineRemoved,
    /// The idempotency key was used for another reply.
    KeyReused,
    /// The case has no such text.
    NoSuchMessage,
    /// The text is not held for a person, or not any more.
    NotHeld,
    /// The provider is still being asked about the text.
    StillSettling,
    /// Too many live pages at once.
    TooManyStreams,
    /// The database cannot be reached now.
    Unavailable,
    /// Something failed that should not; the log says what.
    Internal,
}

/// What was missing when a request came without proof of who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There was nothing.
    Credentials,
    /// There was a token, and it is not valid.
    ValidToken,
    /// There was a session, and it has ended.
    LiveSession,
}

impl Missing {
    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Credentials => "no_credentials",
            Self::ValidToken => "invalid_token",
            Self::LiveSession => "ended_session",
        }
    }
}

/// One place of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mistake {
    /// The field or parameter.
    #[schema(example = "body")]
    pub field: String,
    /// What is wrong with it.
    #[schema(example = "is empty")]
    pub detail: String,
}

impl Mistake {
    /// This field is wrong in this way.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// A problem as it is answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// A stable name to program against.
    #[serde(rename = "type")]
    #[schema(example = "urn:casewire:problem:no-such-case")]
    pub kind: String,
    /// The same for people.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    pub detail: String,
    /// Every field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Mistake>,
}

impl Problem {
    /// The status, the stable name, and the title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized", "Not signed in"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross-site", "Not from this page"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Nothing is here"),
            Self::NoSuchCase => (StatusCode::NOT_FOUND, "no-such-case", "No such case"),
            Self::MethodNotAllowed(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout", "The body came too slowly"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Not JSON"),
            Self::Malformed { .. } => (StatusCode::BAD_REQUEST, "malformed", "The JSON is broken"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Some fields are wrong"),
            Self::OptedOut => (StatusCode::CONFLICT, "opted-out", "The contact has opted out"),
            Self::Unreachable => (StatusCode::CONFLICT, "unreachable", "The contact cannot be texted"),
            Self::LineRemoved => (StatusCode::CONFLICT, "line-removed", "The line is gone"),
            Self::KeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "The idempotency key was used before")
            }
            Self::NoSuchMessage => (StatusCode::NOT_FOUND, "no-such-message", "No such text"),
            Self::NotHeld => (StatusCode::CONFLICT, "not-held", "The text is not held"),
            Self::StillSettling => (StatusCode::CONFLICT, "still-settling", "Twilio is still being asked"),
            Self::TooManyStreams => {
                (StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "Too many live pages")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed inside"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now"),
        }
    }

    fn detail(&self) -> String {
        let fixed = match self {
            Self::Unauthorized(Missing::Credentials) => {
                "Send a token as `Authorization: Bearer cw_…`. `casewire token create --name me` makes one."
            }
            Self::Unauthorized(Missing::ValidToken) => {
                "This token is unknown or has expired. `casewire token create --name me` makes one."
            }
            Self::Unauthorized(Missing::LiveSession) => {
                "The session has ended. Open the one-time link that casewire prints when it starts."
            }
            Self::CrossSite => "A request that changes something must come from casewire's own page.",
            Self::NotFound => "The API's description is at /api/v1/openapi.json.",
            Self::NoSuchCase => "No case has this number.",
            Self::MethodNotAllowed(allowed) => return format!("Only {allowed} is allowed here."),
            Self::Timeout => "The body must be complete within the time allowed.",
            Self::TooLarge(limit) => return format!("At most {limit} bytes are read."),
            Self::NotJson => "Send the body as JSON, with `Content-Type: application/json`.",
            Self::Malformed { line: 0, .. } => "There is no body. Send a JSON object.",
            Self::Malformed { line, column } => {
                return format!("Reading stopped at line {line}, column {column}.");
            }
            Self::Invalid(mistakes) => return in_words(mistakes),
            Self::OptedOut => {
                "They texted STOP to this line. Nothing may be sent to them until they text START."
            }
            Self::Unreachable => "They text under a name, not a number, and a name takes no texts.",
            Self::LineRemoved => {
                "The line the customer used has been removed, so no reply can leave from it."
            }
            Self::KeyReused => {
                "The same Idempotency-Key came with another reply. Use a new key for a new reply."
            }
            Self::NoSuchMessage => "The case has no text of ours with this id.",
            Self::NotHeld => {
                "Nothing is to be decided about this text: what became of it is known, or it is on its way."
            }
            Self::StillSettling => {
                "casewire is still looking for the text on Twilio's list. It takes about five minutes at most."
            }
            Self::TooManyStreams => "Close some of the open pages, or try again in a moment.",
            Self::Internal => "casewire's log says what. Repeating the request will hardly help.",
            Self::Unavailable => "Nothing was changed. Try again in a moment.",
        };
        fixed.to_owned()
    }

    fn body(&self) -> ProblemBody {
        let (status, kind, title) = self.kind();
        let errors = if let Self::Invalid(mistakes) = self { mistakes.clone() } else { Vec::new() };
        ProblemBody {
            kind: format!("urn:casewire:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            errors,
        }
    }
}

fn in_words(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|it| format!("`{}` {}.", it.field, it.detail)).collect::<Vec<_>>().join(" ")
}

impl From<casewire_store::Error> for Problem {
    fn from(error: casewire_store::Error) -> Self {
        if error.is_retryable() {
            tracing::warn!(event = "database_away", %error, "a request could not be served");
            return Self::Unavailable;
        }
        tracing::error!(event = "store_failed", %error, "a request could not be served");
        Self::Internal
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().2)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.content_type("application/problem+json").insert_header((header::CACHE_CONTROL, "no-store"));
        match self {
            Self::Unauthorized(missing) => {
                let challenge = match missing {
                    Missing::Credentials | Missing::LiveSession => r#"Bearer realm="casewire""#,
                    Missing::ValidToken => r#"Bearer realm="casewire", error="invalid_token""#,
                };
                answer.insert_header((header::WWW_AUTHENTICATE, challenge));
            }
            Self::MethodNotAllowed(allowed) => {
                answer.insert_header((header::ALLOW, HeaderValue::from_static(allowed)));
            }
            Self::TooManyStreams | Self::Unavailable => {
                answer.insert_header((header::RETRY_AFTER, "2"));
            }
            Self::TooLarge(_) | Self::Timeout => {
                // What is left of the body must not be read as the next request.
                answer.force_close();
            }
            _ => {}
        }
        answer.json(self.body())
    }
}
