//! casewire bus.
