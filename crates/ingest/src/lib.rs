//! casewire ingest.
