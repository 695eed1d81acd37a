//! What the stories already have: Twilio's side of a webhook, roles as processes, the balancer, dice.

#[path = "../stories/kit/balancer.rs"]
mod balancer;
#[path = "../stories/kit/dice.rs"]
#[expect(dead_code, reason = "the stories use the rest")]
mod dice;
#[path = "../stories/kit/hook.rs"]
#[expect(dead_code, reason = "the stories use the rest")]
mod hook;
#[path = "../stories/kit/role.rs"]
#[expect(dead_code, reason = "the stories use the rest")]
mod role;
#[path = "../stories/kit/wire.rs"]
#[expect(dead_code, reason = "the stories use the rest")]
mod wire;

use casewire_testkit::Casewire;
use casewire_testkit::process::Start;

pub(crate) use balancer::Balancer;
pub(crate) use dice::Dice;
pub(crate) use hook::{Hook, message_sid};
pub(crate) use role::{Environment, Role};
pub(crate) use wire::publish;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "the-auth-token";

/// The program under test.
pub(crate) fn casewire(args: &[&str]) -> Start {
    args.iter().fold(Casewire::at(env!("CARGO_BIN_EXE_casewire")), |start, arg| start.arg(arg))
}

/// A person's number: the same for the same index, another for another.
pub(crate) fn person(index: u64) -> String {
    format!("+1206{:07}", 2_000_000 + index)
}
