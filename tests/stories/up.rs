//! Everything in one process, as a newcomer runs it.

mod bad_requests;
mod mistakes;
mod newcomer;
mod words;
