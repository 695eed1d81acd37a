//! casewire runtime.
