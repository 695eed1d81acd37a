//! Ingest over real HTTP, in front of a real stream.

mod bodies;
mod fickle;
mod front;
mod hardening;
mod lines;
mod logs;
mod outages;
mod signatures;
mod spill;
mod webhooks;
