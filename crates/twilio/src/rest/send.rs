//! Sending one text once, and what came of it.

use std::time::Duration;

use casewire_domain::{Address, DeliveryStatus, Text};
use reqwest::StatusCode;
use serde::Deserialize;

use super::answer::{Answer, Trouble};
use super::{Client, Credentials};
use crate::codes;
use crate::webhook::is_message_sid;

/// A text to send.
#[derive(Clone, Copy, Debug)]
pub struct Send<'a> {
    /// The line's address: a number, or a Messaging Service (`MG` and 32 hex digits), which picks a sender itself.
    pub from: &'a Address,
    /// The customer.
    pub to: &'a Address,
    /// What to say.
    pub body: &'a Text,
    /// Where Twilio reports on the way of it: [`crate::webhook::status_url`].
    pub status_callback: &'a str,
}

/// What came of one attempt, by what may follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendOutcome {
    /// Twilio has it. Never send it again.
    Accepted {
        /// Twilio's id of it.
        sid: String,
        /// How far it is.
        status: DeliveryStatus,
    },
    /// It was certainly not processed: send it again later, not before `retry_after` where that is told.
    NotProcessed {
        /// Why.
        reason: Trouble,
        /// How long Twilio asks to wait.
        retry_after: Option<Duration>,
    },
    /// It was not processed because the account or its credentials are refused: send it again once a person has
    /// acted, or with the account's other token.
    AccountRefused {
        /// The HTTP status.
        http_status: u16,
        /// Twilio's error code.
        code: Option<u32>,
    },
    /// It is refused for good.
    Rejected {
        /// Twilio's error code.
        code: Option<u32>,
        /// The code's meaning, free of numbers and texts.
        message: &'static str,
    },
    /// Nobody knows whether Twilio has it. Find out before it is sent again.
    Uncertain {
        /// Why.
        reason: Trouble,
    },
}

impl SendOutcome {
    /// The class's name, for metrics and traces.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::NotProcessed { .. } => "not_processed",
            Self::AccountRefused { .. } => "account_refused",
            Self::Rejected { .. } => "rejected",
            Self::Uncertain { .. } => "uncertain",
        }
    }
}

/// What of a created message we need.
#[derive(Deserialize)]
struct Created {
    sid: String,
    status: Option<String>,
}

impl Client {
    /// Sends a text: one POST, whatever happens. The caller has recorded the attempt before.
    #[tracing::instrument(
        name = "POST",
        skip_all,
        fields(
            otel.kind = "client",
            http.request.method = "POST",
            http.response.status_code,
            url.template = "/2010-04-01/Accounts/{account}/Messages.json",
            outcome,
            error.code,
        )
    )]
    pub async fn send(&self, credentials: &Credentials, send: &Send<'_>) -> SendOutcome {
        let sender = if send.from.is_messaging_service() { "MessagingServiceSid" } else { "From" };
        let form = [
            ("To", send.to.reveal()),
            (sender, send.from.reveal()),
            ("Body", send.body.reveal()),
            ("StatusCallback", send.status_callback),
        ];
        let request = self.http.post(self.url(credentials, &["Messages.json"])).form(&form);
        let span = tracing::Span::current();
        let outcome = match self.call(request, credentials).await {
            Ok(answer) => {
                span.record("http.response.status_code", answer.status.as_u16());
                span.record("error.code", answer.code());
                outcome(&answer)
            }
            Err(reason @ Trouble::Unreachable) => SendOutcome::NotProcessed { reason, retry_after: None },
            Err(reason) => SendOutcome::Uncertain { reason },
        };
        span.record("outcome", outcome.class());
        outcome
    }
}

/// The class of an answer. The status line decides even when the body did not arrive; only success needs its body.
fn outcome(answer: &Answer) -> SendOutcome {
    let status = answer.status;
    let code = answer.code();
    let http_status = status.as_u16();
    if status.is_success() {
        accepted(answer).unwrap_or_else(|reason| SendOutcome::Uncertain { reason })
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        SendOutcome::NotProcessed { reason: Trouble::Throttled, retry_after: answer.retry_after }
    } else if status.is_server_error() {
        // Also a 503 with Retry-After: nothing says that Twilio did not process it.
        SendOutcome::Uncertain { reason: Trouble::ServerError(http_status) }
    } else if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
        SendOutcome::Uncertain { reason: Trouble::UnexpectedStatus(http_status) }
    } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND)
        || code.is_some_and(codes::is_account_refusal)
    {
        // What is not found when a message is created is the account.
        SendOutcome::AccountRefused { http_status, code }
    } else {
        let message = code.and_then(codes::meaning).unwrap_or("the provider refused the message");
        SendOutcome::Rejected { code, message }
    }
}

fn accepted(answer: &Answer) -> Result<SendOutcome, Trouble> {
    let body = answer.body.as_ref().map_err(|trouble| *trouble)?;
    let created: Created = serde_json::from_slice(body).map_err(|_| Trouble::UnreadableAnswer)?;
    if !is_message_sid(&created.sid) {
        return Err(Trouble::UnreadableAnswer);
    }
    let status = created.status.as_deref().and_then(DeliveryStatus::parse);
    Ok(SendOutcome::Accepted { sid: created.sid, status: status.unwrap_or(DeliveryStatus::Queued) })
}
