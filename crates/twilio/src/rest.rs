//! Twilio's Messages resource: send a text, fetch one, list them; and what its numbers do with texts.
//!
//! There is no idempotency key, so a text is POSTed once per call and never repeated here: [`SendOutcome`] says
//! whether it may be. Reading may be repeated at will. Nothing that is returned, logged or traced holds a number,
//! a text or a credential.

mod answer;
mod media;
mod message;
mod number;
mod read;
mod send;

use std::fmt;
use std::time::Duration;

use reqwest::redirect;
use secrecy::SecretString;
use url::{Host, Url};

pub use answer::Trouble;
pub use message::{Direction, Message};
pub use number::{FoundNumber, Number};
pub use read::{List, NextPage, Page, ReadError};
pub use send::{Send, SendOutcome};

/// How the API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the API is, up to `/2010-04-01`; the simulator has its own.
    pub base_url: String,
    /// For DNS, TCP and TLS. A failure up to here is known not to have sent anything, so it may be short.
    pub connect_timeout: Duration,
    /// For a whole call. What takes longer is uncertain, and settling it costs far more than waiting.
    pub timeout: Duration,
    /// How long an idle connection is kept. A send on one that the other side is closing is uncertain, so it is
    /// shorter than servers usually keep theirs.
    pub idle_timeout: Duration,
    /// The longest answer read. A page of 1,000 messages of 1,600 characters, escaped, stays below.
    pub max_answer_bytes: usize,
    /// The longest `Retry-After` believed, so that one bad answer does not stop an account for a day.
    pub max_retry_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_url: "https://api.twilio.com".to_owned(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(4),
            max_answer_bytes: 16 << 20,
            max_retry_after: Duration::from_secs(300),
        }
    }
}

/// What a call is made as.
#[derive(Clone)]
pub struct Credentials {
    /// The account: `AC` and 32 hex digits.
    pub account_sid: String,
    /// One of its live auth tokens.
    pub auth_token: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.account_sid)
    }
}

/// The client could not be made: final, a mistake of configuration or of the machine.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The base URL is none, or cannot have a path.
    #[error("the base URL of the provider's API is not an http or https URL")]
    BaseUrl,
    /// No TLS: the machine has no root certificates, for one.
    #[error("the HTTP client could not be set up")]
    Http(#[source] reqwest::Error),
}

/// A client of the API, for any number of accounts. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    config: Config,
}

impl Client {
    /// A client that follows no redirects (they would take credentials elsewhere) and retries nothing.
    ///
    /// A rustls provider must have been installed before, else this panics in `reqwest`.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let base = Url::parse(&config.base_url).map_err(|_| SetupError::BaseUrl)?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(SetupError::BaseUrl);
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("casewire/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .pool_idle_timeout(config.idle_timeout);
        // A proxy of the environment could not reach a simulator on this machine.
        let builder = if is_loopback(&base) { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(SetupError::Http)?;
        Ok(Self { http, base, config })
    }

    /// The URL of an account's resource; every part becomes one segment of the path, escaped.
    fn url(&self, credentials: &Credentials, resource: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["2010-04-01", "Accounts", &credentials.account_sid]).extend(resource);
        }
        url
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
