//! What operators see: `/livez`, `/readyz` and `/metrics`, on a listener of their own.

pub mod catalogue;
mod health;
mod metrics;
mod server;

#[cfg(test)]
mod tests;

pub use health::{Beat, Check, Health, Latch, STALE_AFTER};
pub use metrics::{Exemplar, Metrics, Traced};
pub use server::{CONTENT_TYPE, Ops, bind, start};
