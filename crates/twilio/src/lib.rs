//! What Twilio speaks: signed webhooks coming in, REST calls going out.
//!
//! - [`content`] and [`parameters`] read a webhook's body or query, whole and in order;
//! - [`signature`] proves that Twilio sent it, [`explain`] says why it does not;
//! - [`webhook`] turns it into the domain's words and names it for deduplication;
//! - [`twiml`] is what is answered.

pub mod content;
pub mod explain;
pub mod parameters;
pub mod signature;
pub mod twiml;
pub mod webhook;
