//! The desk, over HTTP, on a real database.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod cases;
mod held;
mod live;
mod metrics;
mod refusals;
mod replies;
mod sessions;
mod world;
