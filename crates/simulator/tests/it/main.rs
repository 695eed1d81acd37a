//! The simulator as its neighbours meet it: over HTTP, and by its Rust methods.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail loudly, in what they share too")]

mod callbacks;
mod control;
mod faults;
mod keywords;
mod load;
mod receiver;
mod rest;
mod stand;
mod webhooks;
