//! The test kit tested, and the house rules that no lint knows.

mod arrows;
mod image;
mod observability;
mod servers;
