//! Reading messages back: one by its id, or pages of them. Reading changes nothing, so every error but a refusal
//! may be tried again.

use std::fmt;
use std::time::Duration;

use casewire_domain::Address;
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::answer::{Answer, Trouble};
use super::message::{Message, Wire};
use super::{Client, Credentials};
use crate::codes;

/// Which messages to list. Newest first; with no filter, all of the account.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// Only to this address.
    pub to: Option<&'a Address>,
    /// Only from this address.
    pub from: Option<&'a Address>,
    /// Only sent at this time or after. A message not sent yet has no such time, so do not look for one with it.
    pub sent_after: Option<DateTime<Utc>>,
    /// Only sent at this time or before.
    pub sent_before: Option<DateTime<Utc>>,
    /// Messages a page, from 1 to 1,000.
    pub page_size: u16,
}

impl Default for List<'_> {
    /// Twilio's own page of 50.
    fn default() -> Self {
        Self { to: None, from: None, sent_after: None, sent_before: None, page_size: 50 }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its messages, newest first.
    pub messages: Vec<Message>,
    /// The page after it.
    pub next: Option<NextPage>,
}

/// Where the next page of a list begins: the query Twilio gave for it. `Debug` hides it, for it holds numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct NextPage(String);

impl fmt::Debug for NextPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextPage(…)")
    }
}

/// Why messages could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No usable answer: try again, not before `retry_after` where that is told.
    #[error("{reason}")]
    Unavailable {
        /// Why.
        reason: Trouble,
        /// How long Twilio asks to wait.
        retry_after: Option<Duration>,
    },
    /// The account or its credentials are refused: try the other token, or wait for a person.
    #[error("the account's credentials were refused ({http_status})")]
    AccountRefused {
        /// The HTTP status.
        http_status: u16,
        /// Twilio's error code.
        code: Option<u32>,
    },
    /// The request itself is refused: final.
    #[error("the provider refused the request ({http_status})")]
    Refused {
        /// The HTTP status.
        http_status: u16,
        /// Twilio's error code.
        code: Option<u32>,
    },
}

impl From<Trouble> for ReadError {
    fn from(reason: Trouble) -> Self {
        Self::Unavailable { reason, retry_after: None }
    }
}

#[derive(Deserialize)]
struct WirePage {
    messages: Vec<Wire>,
    next_page_uri: Option<String>,
}

impl Client {
    /// The message of this id; `None` when the account has no such message.
    pub async fn fetch(&self, credentials: &Credentials, sid: &str) -> Result<Option<Message>, ReadError> {
        let url = self.url(credentials, &["Messages", &format!("{sid}.json")]);
        let answer = self.call(self.http.get(url), credentials).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(read::<Wire>(&answer)?.try_into()?))
    }

    /// The first page of a list.
    pub async fn list(&self, credentials: &Credentials, list: &List<'_>) -> Result<Page, ReadError> {
        let mut url = self.url(credentials, &["Messages.json"]);
        let time = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        url.query_pairs_mut()
            .append_pair("PageSize", &list.page_size.to_string())
            .extend_pairs(list.to.map(|to| ("To", to.reveal())))
            .extend_pairs(list.from.map(|from| ("From", from.reveal())))
            // The comparison is part of the name: `DateSent>`, followed by `=`, is "at or after".
            .extend_pairs(list.sent_after.map(|at| ("DateSent>", time(at))))
            .extend_pairs(list.sent_before.map(|at| ("DateSent<", time(at))));
        self.page(credentials, url).await
    }

    /// The page after another.
    pub async fn list_next(&self, credentials: &Credentials, next: &NextPage) -> Result<Page, ReadError> {
        let mut url = self.url(credentials, &["Messages.json"]);
        url.set_query(Some(&next.0));
        self.page(credentials, url).await
    }

    async fn page(&self, credentials: &Credentials, url: Url) -> Result<Page, ReadError> {
        let answer = self.call(self.http.get(url), credentials).await?;
        let page: WirePage = read(&answer)?;
        // Only the query of the next page is taken: credentials go nowhere that an answer names.
        let next = page.next_page_uri.map(|uri| match uri.split_once('?') {
            Some((_, query)) => Ok(NextPage(query.to_owned())),
            None => Err(Trouble::UnreadableAnswer),
        });
        let messages = page.messages.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
        Ok(Page { messages, next: next.transpose()? })
    }
}

/// The body of a successful answer.
pub(super) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ReadError> {
    let (status, http_status, code) = (answer.status, answer.status.as_u16(), answer.code());
    let unavailable = |reason| ReadError::Unavailable { reason, retry_after: answer.retry_after };
    if status == StatusCode::OK {
        let body = answer.body.as_ref().map_err(|trouble| *trouble)?;
        Ok(serde_json::from_slice(body).map_err(|_| Trouble::UnreadableAnswer)?)
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        Err(unavailable(Trouble::Throttled))
    } else if status.is_server_error() {
        Err(unavailable(Trouble::ServerError(http_status)))
    } else if !status.is_client_error() {
        Err(unavailable(Trouble::UnexpectedStatus(http_status)))
    } else if status == StatusCode::UNAUTHORIZED || code.is_some_and(codes::is_account_refusal) {
        Err(ReadError::AccountRefused { http_status, code })
    } else {
        Err(ReadError::Refused { http_status, code })
    }
}
