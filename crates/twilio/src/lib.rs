//! What Twilio speaks: signed webhooks coming in, REST calls going out.
//!
//! - [`content`] and [`parameters`] read a webhook's body or query, whole and in order;
//! - [`signature`] proves that Twilio sent it, [`explain`] says why it does not;
//! - [`webhook`] turns it into the domain's words and names it for deduplication;
//! - [`twiml`] is what is answered;
//! - [`rest`] sends texts and says, of every attempt, whether another one may follow;
//! - [`listed`] makes of a listed message the webhook that should have told of it;
//! - [`codes`] is what Twilio's error numbers mean, in sentences that may be shown.
//!
//! `rest` builds its client on rustls without choosing a provider: `main` and every test binary install one
//! (`rustls::crypto::ring::default_provider().install_default()`) before the first client is built.

pub mod codes;
pub mod content;
pub mod explain;
pub mod listed;
pub mod parameters;
pub mod rest;
pub mod signature;
pub mod twiml;
pub mod webhook;
