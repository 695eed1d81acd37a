//! The crate from outside: what Twilio's library signs, what Twilio's API description asks for, and what the
//! network may do to a call.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly, in its helpers too")]

mod openapi;
mod provider;
mod reading;
mod sending;
mod vectors;
