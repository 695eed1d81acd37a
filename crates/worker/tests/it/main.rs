//! Stories of the worker: a real one, between a real stream, a real database and the simulated provider, which
//! calls a real ingest.

mod bench;
mod callbacks;
mod dead_letters;
mod gate;
mod lanes;
mod metrics;
mod rates;
mod sends;
mod texts;
mod tokens;
mod words;
