//! The rules, told as stories on a bench: time stands still until it is moved, ids are counted, and what is
//! written is kept in an ordinary map that refuses what the database's unique keys refuse.

mod acknowledgements;
mod attempts;
mod batches;
mod bench;
mod machine;
mod once;
mod opt_outs;
mod replies;
mod reports;
mod settling;
mod shelf;
mod texts;
mod waiting;
