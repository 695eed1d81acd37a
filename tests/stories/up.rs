//! Everything in one process, as a newcomer runs it.

mod newcomer;
mod words;
