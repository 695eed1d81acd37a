//! casewire desk.
