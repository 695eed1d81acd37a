//! Everything in one process, as a newcomer runs it.

mod bad_requests;
mod beside;
mod help;
mod mistakes;
mod newcomer;
mod restart;
mod signature;
mod words;
