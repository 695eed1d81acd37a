//! What every role runs on and none owns: configuration, logs and traces, health and metrics, shutdown.

pub mod config;
