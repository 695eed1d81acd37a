//! What casewire is about, with no IO, no async and no database: addresses, cases, messages, rules,
//! and the two functions everything else serves, `plan` and `decide`.
//!
//! Time, randomness and ids are arguments of everything here, so that a test can freeze them.

pub mod address;
pub mod case;
pub mod command;
pub mod contact;
pub mod decide;
pub mod directory;
pub mod event;
pub mod id;
pub mod inbound;
pub mod json;
pub mod line;
pub mod message;
pub mod outbox;
pub mod plan;
pub mod rate;
pub mod reference;
pub mod seal;
pub mod settle;
pub mod state;
pub mod status;
pub mod suppression;
pub mod template;
pub mod text;
pub mod trace;

pub use address::{Address, Region};
pub use event::{DedupeId, Event, EventKind, Source};
pub use id::{AccountId, CaseId, CaseNumber, ContactId, ConversationId, LineId, MessageId, WorkspaceId};
pub use inbound::{InboundText, Keyword, Location, Media, StatusReport};
pub use json::Json;
pub use status::{DeliveryStatus, Progress};
pub use text::Text;
pub use trace::TraceParent;
