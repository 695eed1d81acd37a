//! Which server of a cluster is tried next.
//!
//! The library prefers servers that have failed it least often, so that it would come back for ever to one that answers
//! nothing but pings, and never again to those that were once down.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_nats::{ReconnectToServer, Server};

/// The servers take turns.
#[derive(Debug)]
pub(super) struct Turns(AtomicUsize);

impl Default for Turns {
    /// Begins anywhere, so that the connections of many processes spread over the servers.
    fn default() -> Self {
        let anywhere = RandomState::new().build_hasher().finish();
        Self(AtomicUsize::new(usize::try_from(anywhere >> 32).unwrap_or_default()))
    }
}

impl Turns {
    /// Whose turn it is, after the library's own pause; nobody's where no server is known.
    pub(super) fn next(&self, servers: &[Server]) -> Option<ReconnectToServer> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed).checked_rem(servers.len())?;
        Some(ReconnectToServer { addr: servers[turn].addr.clone(), delay: None })
    }
}
