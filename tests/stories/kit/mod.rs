//! What the stories have in common.

mod balancer;
mod books;
mod checker;
mod cluster;
mod collector;
mod desk;
mod dice;
mod home;
mod hook;
mod page;
mod role;
mod wire;

use casewire_testkit::Casewire;
use casewire_testkit::process::Start;

pub(crate) use balancer::Balancer;
pub(crate) use books::Books;
pub(crate) use cluster::{
    ACCOUNT, Cluster, DATABASE_PASSWORD, MASTER_KEY, Plan, TOKEN, handset, number, person,
};
pub(crate) use collector::{Collector, Span};
pub(crate) use desk::{Desk, bodies, texts};
pub(crate) use dice::Dice;
pub(crate) use home::{AUTH_TOKEN, Home, SOON, Up, sentence};
pub(crate) use hook::{Hook, message_sid};
pub(crate) use page::Page;
pub(crate) use role::Role;
pub(crate) use wire::{publish, request};

/// The program under test.
pub(crate) fn casewire(args: &[&str]) -> Start {
    args.iter().fold(Casewire::at(env!("CARGO_BIN_EXE_casewire")), |start, arg| start.arg(arg))
}

/// Tells whoever reads the test's output.
#[expect(clippy::print_stdout, reason = "the figures of a run are worth reading")]
pub(crate) fn say(what: &str) {
    println!("{what}");
}

/// The end of what a role logged, when its story has failed.
fn say_last_words(role: &Role) {
    let log = role.log();
    let lines: Vec<_> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
    say(&format!("--- {} on port {} ---\n{}", role.name, role.port, last.join("\n")));
}
