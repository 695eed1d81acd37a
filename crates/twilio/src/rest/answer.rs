//! One call: the answer, or what kept it from us.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Client, Credentials};

/// Why a call has no usable answer. It names the kind alone: the errors beneath quote URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection: the name, the port or TLS failed. Nothing was sent.
    #[error("the provider could not be reached")]
    Unreachable,
    /// Refused for the number of requests (429). Nothing was done (Twilio, error 20429).
    #[error("the provider asks to slow down")]
    Throttled,
    /// No answer in time. The request may have been carried out.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// The connection broke. The request may have been carried out.
    #[error("the connection to the provider broke")]
    ConnectionLost,
    /// A 5xx. The request may have been carried out (Twilio, error 20500).
    #[error("the provider answered {0}")]
    ServerError(u16),
    /// A status that this API does not answer with: a proxy's perhaps. The request may have been carried out.
    #[error("the provider gave the unexpected answer {0}")]
    UnexpectedStatus(u16),
    /// Too long, cut short, or not what it should be. The request was probably carried out.
    #[error("the provider's answer is unreadable")]
    UnreadableAnswer,
}

/// A status line that arrived, and what came of the body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// When it left, by the provider's clock.
    pub(super) at: Option<DateTime<Utc>>,
    pub(super) body: Result<Vec<u8>, Trouble>,
}

/// Twilio's error body; the code is all of it that may be kept.
#[derive(Deserialize)]
struct ErrorBody {
    code: Option<u32>,
}

impl Answer {
    /// The code of Twilio's error body.
    pub(super) fn code(&self) -> Option<u32> {
        serde_json::from_slice::<ErrorBody>(self.body.as_ref().ok()?).ok()?.code
    }
}

impl Client {
    /// Makes one call.
    pub(super) async fn call(
        &self,
        request: RequestBuilder,
        credentials: &Credentials,
    ) -> Result<Answer, Trouble> {
        let Credentials { account_sid, auth_token } = credentials;
        let request = request.basic_auth(account_sid, Some(auth_token.expose_secret()));
        let mut response = request.send().await.map_err(|error| trouble(&error))?;
        Ok(Answer {
            status: response.status(),
            retry_after: retry_after(response.headers()).map(|wait| wait.min(self.config.max_retry_after)),
            at: date(response.headers()),
            body: self.body(&mut response).await,
        })
    }

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            if body.len() + chunk.len() > self.config.max_answer_bytes {
                return Err(Trouble::UnreadableAnswer);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn trouble(error: &reqwest::Error) -> Trouble {
    // A time-out while connecting is both; nothing was sent then.
    if error.is_connect() || error.is_builder() {
        Trouble::Unreachable
    } else if error.is_timeout() {
        Trouble::TimedOut
    } else {
        Trouble::ConnectionLost
    }
}

/// `Retry-After` in either of its forms; a date counts from the answer's own, so that clocks need not agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    (time(value)? - date(headers).unwrap_or_else(Utc::now)).to_std().ok()
}

fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    time(headers.get(DATE)?.to_str().ok()?)
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: Option<u64>) {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{headers:?}");
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let date = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");
        check(&[("retry-after", "7")], Some(7));
        check(&[date, ("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT")], Some(90));
        check(&[date, ("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT")], None);
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "-1")], None);
        check(&[], None);
    }
}
