#![doc = include_str!("../README.md")]

mod event;

#[cfg(test)]
mod bootstrap;
#[cfg(test)]
mod fixtures;

/// The generated types. They stay in this crate: everything else holds [`casewire_domain::Event`].
mod v1 {
    include!("generated/casewire.v1.rs");
}

pub use event::{Unreadable, decode, encode};
