//! What one thread of the HTTP server has for itself: a way to the stream. An event that goes over another thread's
//! connection wakes that thread, and its acknowledgement wakes this one again, which costs more than all that ingest
//! does with a text.

use std::sync::Arc;

use actix_web::web::Data;
use casewire_bus::Stream;
use tokio::sync::OnceCell;

use crate::State;

/// A thread's view of ingest.
pub(crate) struct Thread {
    /// What all threads share.
    pub(crate) state: Data<State>,
    /// Connected with the first request, on the thread that has it; `None` where the stream has no use for that.
    own: OnceCell<Option<Arc<dyn Stream>>>,
}

impl Thread {
    pub(crate) fn new(state: Data<State>) -> Self {
        Self { state, own: OnceCell::new() }
    }

    /// The stream by the nearest way that stands.
    pub(crate) async fn stream(&self) -> &dyn Stream {
        let shared = self.state.storage.stream.as_ref();
        let own = self.own.get_or_init(|| shared.on_this_thread()).await;
        own.as_deref().filter(|own| own.connected()).unwrap_or(shared)
    }
}
