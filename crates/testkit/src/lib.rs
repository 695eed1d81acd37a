//! casewire testkit.
