#![doc = include_str!("../README.md")]

mod child;
pub mod http;
pub mod nats;
mod pause;
pub mod port;
pub mod postgres;
pub mod process;
mod program;
mod wait;
mod watch;

pub use nats::NatsServer;
pub use postgres::Postgres;
pub use process::{Casewire, Finished};
pub use program::{nats_current, nginx, prometheus, strace};
pub use wait::{eventually, eventually_some};
