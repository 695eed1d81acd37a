//! Ingest over real HTTP, in front of a real stream.

mod bodies;
mod front;
mod lines;
mod logs;
mod outages;
mod signatures;
mod webhooks;
