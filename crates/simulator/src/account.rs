//! Who may send and where texts go: what Twilio's console would hold.

use casewire_domain::Address;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::sid::AccountSid;

/// An account's secrets.
#[derive(Clone, Debug)]
pub struct Account {
    /// Signs this account's webhooks and callbacks.
    pub auth_token: SecretString,
    /// Accepted beside it, and signs nothing until it is promoted: made the `auth_token`.
    pub secondary_token: Option<SecretString>,
    /// Whether other passwords are refused (401, 20003). An account first met in a request is not strict:
    /// whatever password it comes with is its token from then on.
    pub strict: bool,
}

impl Account {
    /// An account for which only this token is accepted.
    pub fn with_token(auth_token: impl Into<SecretString>) -> Self {
        Self { auth_token: auth_token.into(), secondary_token: None, strict: true }
    }

    pub(crate) fn first_met(password: &str) -> Self {
        Self { auth_token: password.into(), secondary_token: None, strict: false }
    }

    /// Whether this password is let in; one that is not strict learns it.
    pub(crate) fn admits(&mut self, password: &str) -> bool {
        let is = |token: &SecretString| token.expose_secret() == password;
        if is(&self.auth_token) || self.secondary_token.as_ref().is_some_and(is) {
            return true;
        }
        if !self.strict {
            self.auth_token = password.into();
        }
        !self.strict
    }
}

/// A number of an account, and where what is texted to it goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The number customers text.
    pub number: Address,
    /// The account it belongs to; its token signs the webhooks.
    pub account_sid: AccountSid,
    /// Where its texts are delivered, with connection overrides in the fragment.
    pub webhook_url: String,
    /// How they are delivered.
    #[serde(default)]
    pub method: Method,
    /// Where they are delivered when `webhook_url` fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_url: Option<String>,
    /// What the number tells of calls; kept and told, never called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_callback: Option<String>,
    /// The Messaging Service this number is in: `MG` and 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_service_sid: Option<String>,
    /// Whether Advanced Opt-Out is on: webhooks tell `OptOutType`, and a text to somebody who opted out is
    /// accepted and then fails, instead of being refused.
    #[serde(default)]
    pub advanced_opt_out: bool,
    /// The account's token, where it is not known otherwise. Never told again.
    #[serde(default, skip_serializing)]
    pub auth_token: Option<SecretString>,
}

impl Line {
    /// A line with a webhook and nothing special.
    pub fn new(number: Address, account_sid: AccountSid, webhook_url: impl Into<String>) -> Self {
        Self {
            number,
            account_sid,
            webhook_url: webhook_url.into(),
            method: Method::Post,
            fallback_url: None,
            status_callback: None,
            messaging_service_sid: None,
            advanced_opt_out: false,
            auth_token: None,
        }
    }
}

/// The HTTP method of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Parameters in a form body, Twilio's default.
    #[default]
    #[serde(rename = "POST", alias = "post")]
    Post,
    /// Parameters in the query.
    #[serde(rename = "GET", alias = "get")]
    Get,
}
