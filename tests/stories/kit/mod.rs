//! What the stories have in common.

mod hook;

use casewire_testkit::Casewire;
use casewire_testkit::process::Start;

pub(crate) use hook::{Hook, message_sid};

/// The program under test.
pub(crate) fn casewire(args: &[&str]) -> Start {
    args.iter().fold(Casewire::at(env!("CARGO_BIN_EXE_casewire")), |start, arg| start.arg(arg))
}
