//! What every role runs on and none owns: configuration, logs and traces, health and metrics, shutdown.

pub mod config;
pub mod crypto;
pub mod http;
pub mod ops;
pub mod shutdown;
pub mod telemetry;
