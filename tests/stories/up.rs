//! Everything in one process, as a newcomer runs it.

mod backup;
mod bad_requests;
mod beside;
mod doctor;
mod held;
mod help;
mod mistakes;
mod newcomer;
mod restart;
mod signature;
mod words;
