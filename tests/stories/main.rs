//! Whole stories: real processes of `casewire`, real servers, real kills.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod canaries;
mod cluster;
#[cfg(target_os = "linux")]
mod durability;
mod guarded;
mod kit;
mod proxied;
mod telemetry;
mod up;
