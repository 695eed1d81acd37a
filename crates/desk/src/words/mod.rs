//! What rules, events and errors mean, in a person's words.

mod error;
mod event;
mod why;

pub use error::error;
pub use event::{reason, said};
pub use why::{passed_over, rule};
