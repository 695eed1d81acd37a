//! Every way a webhook is not accepted, and what is answered. The status is protocol: the provider decides by it.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder};
use casewire_bus::PublishError;
use casewire_runtime::config::{self, RefusalStatus};
use casewire_twilio::content;
use casewire_twilio::signature::Refused;

use crate::metrics::Outcome;

/// Why a webhook was not accepted. The provider tries a 503 again where it was told to; the others are final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The line's webhook takes other methods.
    #[error("this webhook takes {allow}")]
    Method { allow: &'static str },
    /// A compressed body: nothing that the provider sends, and small ones can become very large.
    #[error("compressed bodies are not taken")]
    Compressed,
    /// Neither a form nor JSON, or not what it says it is.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// More bytes than any webhook has.
    #[error("the body is too large")]
    TooLarge,
    /// The body did not come in time.
    #[error("the body did not come in time")]
    Slow,
    /// The connection broke within the body.
    #[error("the body ended early")]
    Broken,
    /// Nobody whom we know signed it; or there is no such line, which is answered alike.
    #[error("the signature does not match")]
    Signature(Refused),
    /// No directory has come yet, so it cannot be said who may sign.
    #[error("starting up")]
    NoDirectory,
    /// The account's tokens cannot be opened, so it cannot be said who may sign.
    #[error("not able to verify")]
    Sealed,
    /// As much as may wait for the stream is waiting.
    #[error("too busy")]
    Overloaded,
    /// The stream did not say that it has the event.
    #[error("not able to store")]
    Publish(PublishError),
}

impl Refusal {
    /// What it counts as.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Method { .. } | Self::Compressed | Self::Content(_) => Outcome::RejectedInvalid,
            Self::TooLarge | Self::Slow | Self::Broken => Outcome::RejectedInvalid,
            Self::Signature(_) => Outcome::RejectedSignature,
            Self::NoDirectory | Self::Sealed => Outcome::Error,
            Self::Overloaded => Outcome::Overloaded,
            Self::Publish(_) => Outcome::PublishFailed,
        }
    }

    /// The status it is answered with.
    pub(crate) fn status(&self, refused: RefusalStatus) -> StatusCode {
        match self {
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Compressed | Self::Content(content::Error::UnsupportedType) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Content(content::Error::Malformed(_)) | Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Signature(_) => match refused {
                RefusalStatus::Forbidden => StatusCode::FORBIDDEN,
                RefusalStatus::Unauthorized => StatusCode::UNAUTHORIZED,
            },
            Self::NoDirectory | Self::Sealed | Self::Overloaded | Self::Publish(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The answer: a sentence that repeats nothing of the request.
    pub(crate) fn response(&self, settings: &config::Ingest) -> HttpResponse {
        let status = self.status(settings.refusal_status);
        let mut response = HttpResponseBuilder::new(status);
        response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"));
        if let Self::Method { allow } = self {
            response.insert_header((ALLOW, *allow));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, seconds(settings.retry_after)));
        }
        response.body(Sentence(self).to_string())
    }
}

/// The header takes whole seconds; none at all would invite a retry at once.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().max(1)
}

/// A refusal as a line of text.
struct Sentence<'a>(&'a Refusal);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.0)
    }
}
