//! casewire proto.
