//! Every role a process of its own, on real servers: what holds whatever crashes, repeats or comes out of order.

mod chaos;
mod directory;
mod doctor;
mod drain;
mod ending;
mod once;
mod outages;
mod poison;
mod rolling;
mod spill;
mod statuses;
mod sweep;
