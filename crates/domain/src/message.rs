//! One text, in either direction, and the reason it is where it is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, CaseId, CaseNumber, ContactId, ConversationId, LineId, MessageId};
use crate::inbound::Media;
use crate::status::Progress;
use crate::text::Text;
use crate::trace::TraceParent;

/// Which way a text went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From a customer.
    Inbound,
    /// To a customer.
    Outbound,
}

impl Direction {
    /// The name used everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// One text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Ours.
    pub id: MessageId,
    /// The account it went through.
    pub account_id: AccountId,
    /// The line it went through.
    pub line_id: LineId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The person at the other end.
    pub contact_id: ContactId,
    /// The case it is in; none for a STOP, START or HELP.
    pub case_id: Option<CaseId>,
    /// Which way it went.
    pub direction: Direction,
    /// The provider's id, once known; unique in the account.
    pub provider_sid: Option<String>,
    /// What was written.
    pub body: Text,
    /// Files that came with it.
    pub media: Vec<Media>,
    /// Whether no person wrote it. The loop guard counts these.
    pub automatic: bool,
    /// Who wrote it, for a reply: `agent:<token name>`.
    pub author: Option<String>,
    /// The text an automatic reply answers; at most one reply a text.
    pub cause_id: Option<MessageId>,
    /// How far a text of ours has come.
    pub progress: Progress,
    /// Why it is where it is.
    pub why: Why,
    /// When it reached us, or was written: what threads are ordered by.
    pub received_at: DateTime<Utc>,
    /// When the decision about it was taken.
    pub processed_at: DateTime<Utc>,
    /// The trace it belongs to: that of its sending once it was sent, before that of what led to it.
    pub trace: Option<TraceParent>,
}

/// Why a text is where it is: the rule that matched, and the cases that were passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The rule that placed it.
    pub rule: Rule,
    /// Case numbers it named that it could not join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
}

/// The rule that placed a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// First text of a conversation.
    OpenedFirst,
    /// The conversation's case was closed.
    OpenedAfterClosing,
    /// The conversation's case was open or pending.
    JoinedCurrent,
    /// The text named the case.
    JoinedByNumber,
    /// The text named the case, which was closed.
    ReopenedByNumber,
    /// A STOP word: recorded, in no case.
    Stop,
    /// A START word of somebody who had stopped: recorded, in no case.
    Start,
    /// A HELP word: recorded, in no case.
    Help,
    /// A person wrote it.
    Reply,
    /// It answers a text without a person.
    Acknowledgement,
}

/// A number in a text that led nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The number.
    pub number: CaseNumber,
    /// Why it was passed over.
    pub because: Because,
}

/// Why a named case was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// No case has this number.
    NoSuchCase,
    /// The sender takes no part in that case.
    NotAParticipant,
    /// An earlier number in the same text was followed.
    AnotherFollowed,
}

impl Why {
    /// A reason without numbers passed over.
    pub fn rule(rule: Rule) -> Self {
        Self { rule, passed_over: Vec::new() }
    }

    /// The reason as a trail may tell it: eight digits that name no case are the customer's words (a phone
    /// number, a date of birth) and stay with the text.
    #[must_use]
    pub fn without_words(&self) -> Self {
        let cases = self.passed_over.iter().filter(|it| it.because != Because::NoSuchCase);
        Self { rule: self.rule, passed_over: cases.copied().collect() }
    }
}
