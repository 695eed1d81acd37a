//! Every role a process of its own, on real servers: what holds whatever crashes, repeats or comes out of order.

mod chaos;
mod once;
