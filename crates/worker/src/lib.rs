//! casewire worker.
