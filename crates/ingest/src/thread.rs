//! What one thread of the HTTP server has for itself. A way to the stream: an event that goes over another thread's
//! connection wakes that thread, and its acknowledgement wakes this one again, which costs more than all that ingest
//! does with a text. And whatever each webhook writes to, be it only a count: memory that two cores write to in turns
//! is fetched from the other each time.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::web::Data;
use casewire_bus::Stream;
use tokio::sync::OnceCell;

use crate::State;
use crate::lines::{Held, View};
use crate::tally::Tally;

/// A thread's view of ingest.
pub(crate) struct Thread {
    /// What all threads share, and only read.
    pub(crate) state: Data<State>,
    pub(crate) tally: Tally,
    lines: View,
    /// How many events wait for the stream.
    waiting: Cell<u32>,
    /// Connected with the first request, on the thread that has it; `None` where the stream has no use for that.
    own: OnceCell<Option<Arc<dyn Stream>>>,
}

impl Thread {
    pub(crate) fn new(state: Data<State>) -> Self {
        let (tally, lines) = (Tally::new(state.metrics.clone()), state.lines.view());
        Self { state, tally, lines, waiting: Cell::new(0), own: OnceCell::new() }
    }

    /// The lines as they stand now; `None` before the first directory.
    pub(crate) fn lines(&self) -> Option<Rc<Held>> {
        self.lines.current(&self.state.lines)
    }

    /// A place for an event that waits for the stream, until it is dropped; `None` while all are taken.
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        let waiting = self.waiting.get();
        (waiting < self.state.settings.max_in_flight.get()).then(|| {
            self.waiting.set(waiting + 1);
            Place(&self.waiting)
        })
    }

    /// The stream by the nearest way that stands.
    pub(crate) async fn stream(&self) -> &dyn Stream {
        let shared = self.state.storage.stream.as_ref();
        let own = self.own.get_or_init(|| shared.on_this_thread()).await;
        own.as_deref().filter(|own| own.takes()).unwrap_or(shared)
    }
}

/// A place among those that wait.
pub(crate) struct Place<'a>(&'a Cell<u32>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
