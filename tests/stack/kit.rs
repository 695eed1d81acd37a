//! What the stories already have: Twilio's side of a webhook, roles as processes, somebody at the desk.

#[path = "../stories/kit/balancer.rs"]
#[expect(dead_code, reason = "a role can stand behind it; here each is called itself")]
mod balancer;
#[path = "../stories/kit/collector.rs"]
#[expect(dead_code, reason = "the stories look at kinds")]
mod collector;
#[path = "../stories/kit/desk.rs"]
#[expect(dead_code, reason = "the stories use the rest")]
mod desk;
#[path = "../stories/kit/hook.rs"]
mod hook;
#[path = "../stories/kit/role.rs"]
#[expect(dead_code, reason = "the stories use the rest")]
mod role;

use casewire_testkit::Casewire;
use casewire_testkit::process::Start;

pub(crate) use collector::{Collector, Span};
pub(crate) use desk::Desk;
pub(crate) use hook::{Hook, message_sid};
pub(crate) use role::{Environment, Role};

/// The program under test.
pub(crate) fn casewire(args: &[&str]) -> Start {
    args.iter().fold(Casewire::at(env!("CARGO_BIN_EXE_casewire")), |start, arg| start.arg(arg))
}
