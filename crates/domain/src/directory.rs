//! The directory: what ingest must know of accounts and lines, and nothing more. It is published as one
//! snapshot, so that ingest needs no database.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, LineId};
use crate::seal::Sealed;

/// One snapshot of all accounts and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Grows with every change; a snapshot of a lower version never replaces a newer one.
    pub version: i64,
    /// Every account that has a line.
    pub accounts: Vec<AccountEntry>,
    /// Every line, active or not.
    pub lines: Vec<LineEntry>,
}

/// What ingest knows of an account: enough to verify its signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEntry {
    /// Ours.
    pub id: AccountId,
    /// The provider's: `AC` and 32 hex digits. Namespaces dedupe ids.
    pub sid: String,
    /// Live auth tokens, newest first; any of them may have signed a webhook.
    pub tokens: Vec<Sealed>,
    /// Live shared keys of the `SharedKey` signing scheme. Empty: only auth tokens sign.
    #[serde(default)]
    pub shared_keys: Vec<SharedKey>,
}

/// A key of Twilio's `SharedKey` webhook signing (public beta): named in the request, fixed in its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedKey {
    /// The `key=` of `X-Twilio-Webhooks-Signature-Settings`.
    pub key_id: String,
    /// The algorithm this key was made for; a request that names another is refused.
    pub algorithm: Algorithm,
    /// Its secret.
    pub secret: Sealed,
}

/// How a signature is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Twilio's ordinary scheme.
    #[serde(rename = "HMAC_SHA1")]
    HmacSha1,
    /// Possible with shared keys.
    #[serde(rename = "HMAC_SHA256")]
    HmacSha256,
}

/// What ingest knows of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineEntry {
    /// Ours.
    pub id: LineId,
    /// The `{line}` of the line's webhook URLs.
    pub webhook_id: String,
    /// The account whose tokens sign this line's webhooks.
    pub account_id: AccountId,
    /// Which methods its webhooks may use.
    pub method: Method,
    /// A line that is not active answers as an unknown one.
    pub active: bool,
}

/// Which HTTP methods a line's message webhook takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// `POST` alone, Twilio's default.
    #[default]
    Post,
    /// `GET` alone.
    Get,
    /// Both.
    Any,
}

impl Method {
    /// Whether a request of this method (upper case) is taken.
    pub fn allows(self, method: &str) -> bool {
        match self {
            Self::Post => method == "POST",
            Self::Get => method == "GET",
            Self::Any => method == "POST" || method == "GET",
        }
    }

    /// The name used on the command line and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Get => "get",
            Self::Any => "any",
        }
    }

    /// The method setting of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Post, Self::Get, Self::Any].into_iter().find(|m| m.as_str() == name)
    }
}

impl Directory {
    /// The line of this webhook id, and its account; `None` for an unknown or inactive one.
    pub fn find(&self, webhook_id: &str) -> Option<(&LineEntry, &AccountEntry)> {
        let line = self.lines.iter().find(|line| line.webhook_id == webhook_id && line.active)?;
        let account = self.accounts.iter().find(|account| account.id == line.account_id)?;
        Some((line, account))
    }
}
