#![doc = include_str!("../README.md")]

mod account;
mod calling;
mod codes;
mod config;
mod control;
mod dice;
mod faults;
mod geography;
mod handset;
mod keywords;
mod ledger;
mod lifecycle;
mod magic;
mod message;
mod refusal;
mod rest;
mod schedule;
mod segments;
mod sending;
mod serve;
mod shelf;
mod sid;
mod simulator;
mod state;
mod texting;
mod webhook;

pub use account::{Account, Line, Method};
pub use config::{Config, Lifecycle, Span};
pub use faults::{BadRule, FailedStatus, Fault, Rule};
pub use handset::{HandsetDirection, HandsetText, Origin};
pub use ledger::{Answered, CallbackCounts, Ledger, SendEntry, TextEntry};
pub use message::Status;
pub use sid::{AccountSid, NotASid, Sid};
pub use simulator::{BuildError, Pending, Simulator};
pub use texting::{HandsetDraft, SentText, TextError};
pub use webhook::Outcome;
