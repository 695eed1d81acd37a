//! Messages on their way to the customer, and what each attempt may come to.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::id::{ConversationId, LineId, MessageId};
use crate::message::Message;
use crate::status::DeliveryStatus;

/// A message that is not settled yet. Settled ones leave the outbox; their message keeps the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The message.
    pub message_id: MessageId,
    /// The line it leaves from: rate limits are per line.
    pub line_id: LineId,
    /// Its conversation: one text of a conversation is on its way at a time, in order.
    pub conversation_id: ConversationId,
    /// Where it stands.
    pub state: OutboxState,
    /// The last attempt begun; 0 before the first.
    pub attempt: u32,
    /// Not before this time.
    pub due_at: DateTime<Utc>,
    /// While sending: when the attempt counts as lost with its process.
    pub lease_until: Option<DateTime<Utc>>,
    /// When it was queued.
    pub queued_at: DateTime<Utc>,
    /// What was done to learn whether the provider took it.
    pub settling: Settling,
}

impl Outgoing {
    /// A message that was just written, waiting for its turn.
    pub fn queued(message: &Message) -> Self {
        Self {
            message_id: message.id,
            line_id: message.line_id,
            conversation_id: message.conversation_id,
            state: OutboxState::Pending,
            attempt: 0,
            due_at: message.processed_at,
            lease_until: None,
            queued_at: message.processed_at,
            settling: Settling::default(),
        }
    }
}

/// What was done so far to learn whether the provider took a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settling {
    /// When the last attempt began; `None` before the first.
    pub attempted_at: Option<DateTime<Utc>>,
    /// When the first attempt began that the provider may have taken, where it was sent again since.
    pub searched_from: Option<DateTime<Utc>>,
    /// How often the provider's list was read for the last attempt.
    pub looks: u32,
    /// The list is not read for it before this time: somebody reads it now, or it could not be read.
    pub look_at: Option<DateTime<Utc>>,
    /// Since when a person must decide.
    pub held_at: Option<DateTime<Utc>>,
    /// How often it was sent again though the provider may have had it.
    pub resends: u32,
}

impl Settling {
    /// For an attempt that began at this time.
    #[must_use]
    pub fn of_attempt(self, begun: DateTime<Utc>) -> Self {
        Self { attempted_at: Some(begun), looks: 0, look_at: None, held_at: None, ..self }
    }
}

/// Where a message in the outbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboxState {
    /// Waiting for its turn.
    Pending,
    /// An attempt is under way: its POST may have happened.
    Sending,
    /// Nobody knows whether the provider took it. Never sent again unless settled.
    Uncertain,
}

impl OutboxState {
    /// The name used in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Uncertain => "uncertain",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Sending, Self::Uncertain].into_iter().find(|state| state.as_str() == name)
    }
}

/// What came of one attempt to send, by what it means for another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The provider has it, under this id.
    Accepted {
        /// The provider's id.
        provider_sid: String,
        /// What the provider said of it.
        status: DeliveryStatus,
    },
    /// The provider never processed it (429, no connection): sent again after this time.
    NotProcessed {
        /// How long to wait, by the clock that leases are kept by.
        retry_after: Duration,
    },
    /// The provider refused it for good.
    Rejected {
        /// Its error code.
        code: Option<u32>,
    },
    /// It must not be sent: the contact has opted out.
    Suppressed,
    /// Nobody knows: a 5xx, a time-out, a crash.
    Uncertain,
}
