//! casewire store.
