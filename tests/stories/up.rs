//! Everything in one process, as a newcomer runs it.

mod bad_requests;
mod beside;
mod held;
mod help;
mod mistakes;
mod newcomer;
mod restart;
mod signature;
mod words;
