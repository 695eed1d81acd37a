//! casewire simulator.
