#![doc = include_str!("../README.md")]

pub mod config;
pub mod crypto;
pub mod http;
pub mod ops;
pub mod shutdown;
pub mod telemetry;
