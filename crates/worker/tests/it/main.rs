//! Stories of the worker: a real one, between a real stream, a real database and the simulated provider, which
//! calls a real ingest.

mod ambiguous;
mod bench;
mod callbacks;
mod dead_letters;
mod directory;
mod double;
mod gate;
mod lanes;
mod metrics;
mod outages;
mod poison;
mod provider;
mod rates;
mod reconciling;
mod recording;
mod sends;
mod settling;
mod shutdown;
mod simulation;
mod standing;
mod texts;
mod tokens;
mod words;
