//! What operators see of casewire: every metric of the catalogue and no other, and one trace for a text.

mod catalogue;
mod exposition;
mod traces;
