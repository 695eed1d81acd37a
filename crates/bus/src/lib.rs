#![doc = include_str!("../README.md")]

mod delivery;
mod directory;
pub mod embedded;
pub mod history;
pub mod jetstream;
mod shard;
mod stream;

pub use casewire_proto::{Unreadable, decode, encode};
pub use delivery::{Delivery, NotSettled, Settle, Undecodable, ack_all};
pub use directory::{BoardError, DirectoryBoard, LocalDirectory};
pub use embedded::{EmbeddedConfig, EmbeddedStream};
pub use history::History;
pub use jetstream::{JetStream, JetStreamConfig};
pub use shard::shard_of;
pub use stream::{
    Backlog, ConsumeError, Consumer, Difference, PrepareError, PublishError, Published, Stream,
};
