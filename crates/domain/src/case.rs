//! Cases, the conversations they live in, and the trail every decision leaves.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{CaseId, CaseNumber, ContactId, ConversationId, LineId, WorkspaceId};
use crate::json::Json;
use crate::text::{Text, one_line};

/// Where a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseStatus {
    /// Somebody should look at it.
    Open,
    /// Waiting, for the customer say.
    Pending,
    /// Done; the next text opens another case, unless it names this one.
    Closed,
}

impl CaseStatus {
    /// The name used everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Closed => "closed",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Pending, Self::Closed].into_iter().find(|status| status.as_str() == name)
    }
}

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Ours.
    pub id: CaseId,
    /// Whose case.
    pub workspace_id: WorkspaceId,
    /// What people call it.
    pub number: CaseNumber,
    /// The conversation the customer used last: replies leave there.
    pub conversation_id: ConversationId,
    /// The line of that conversation.
    pub line_id: LineId,
    /// Who takes part in it.
    pub contact_id: ContactId,
    /// Where it stands.
    pub status: CaseStatus,
    /// The beginning of the text that opened it.
    pub subject: Text,
    /// When its first text was received: not always the one that opened it, since texts can be handled late.
    pub opened_at: DateTime<Utc>,
    /// When something last happened to it. It never goes back, whatever clocks do: lists are ordered by it.
    pub updated_at: DateTime<Utc>,
    /// When it was closed, while it is.
    pub closed_at: Option<DateTime<Utc>>,
    /// When the text was received that waits longest for a person's answer. A reply answers all that is there, and so
    /// does closing.
    pub unanswered_since: Option<DateTime<Utc>>,
}

impl Case {
    /// The case after something happened to it.
    #[must_use]
    pub fn touched(&self, at: DateTime<Utc>) -> Self {
        Self { updated_at: self.updated_at.max(at), ..self.clone() }
    }

    /// Since when a person's answer is waited for; never in a closed case, whatever a version that did not keep it left.
    pub(crate) fn waits_since(&self) -> Option<DateTime<Utc>> {
        self.unanswered_since.filter(|_| self.status != CaseStatus::Closed)
    }
}

/// Most characters of a subject: enough for one line of a list.
const SUBJECT_CHARS: usize = 120;

/// The subject of a case opened by this text.
pub fn subject_of(body: &Text, has_media: bool) -> Text {
    let line = one_line(body.reveal(), SUBJECT_CHARS);
    match line.is_empty() {
        true if has_media => Text::new("(picture)"),
        true => Text::new("(empty)"),
        false => Text::new(line),
    }
}

/// One contact on one line: the lane in which decisions happen one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Ours.
    pub id: ConversationId,
    /// The line.
    pub line_id: LineId,
    /// What tells conversations of a line apart: the contact's address.
    pub key: Text,
    /// The person.
    pub contact_id: ContactId,
    /// The case a text joins, unless that one is closed.
    pub current_case_id: Option<CaseId>,
}

/// One entry of a case's trail: the timeline, the audit trail and live pages all read these.
#[derive(Clone, Debug, PartialEq)]
pub struct TrailEntry {
    /// The case.
    pub case_id: CaseId,
    /// Who did it: `customer`, `agent:<token name>`, `casewire`, `provider`.
    pub actor: String,
    /// What happened.
    pub kind: Trail,
    /// Why: which rule, what was passed over. Ids and numbers of cases, never a text.
    pub why: Json,
    /// What changed: ids, statuses, never a text.
    pub change: Json,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// What can happen to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trail {
    /// A text opened it.
    CaseOpened,
    /// A text joined it.
    TextJoined,
    /// A text or a person opened it again.
    CaseReopened,
    /// A person set it to open, pending or closed.
    StatusSet,
    /// An automatic reply was queued.
    AcknowledgementQueued,
    /// An automatic reply was held back.
    AcknowledgementWithheld,
    /// A person's reply was queued.
    ReplyQueued,
    /// The provider took a text.
    SendAccepted,
    /// A text will not be sent, or the provider refused it.
    SendFailed,
    /// Nobody knows whether the provider took a text; it is held.
    SendUncertain,
    /// The provider's list did not tell either: a person must decide.
    SendUnsettled,
    /// A text that the provider may have is sent again.
    SentAgain,
    /// A person has decided about a text that was held.
    SendResolved,
    /// Two texts went out for one message: the provider took an attempt that looked lost.
    DuplicateSendDetected,
    /// A text came further on its way.
    DeliveryChanged,
}

impl Trail {
    /// The name used in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CaseOpened => "case_opened",
            Self::TextJoined => "text_joined",
            Self::CaseReopened => "case_reopened",
            Self::StatusSet => "status_set",
            Self::AcknowledgementQueued => "acknowledgement_queued",
            Self::AcknowledgementWithheld => "acknowledgement_withheld",
            Self::ReplyQueued => "reply_queued",
            Self::SendAccepted => "send_accepted",
            Self::SendFailed => "send_failed",
            Self::SendUncertain => "send_uncertain",
            Self::SendUnsettled => "send_unsettled",
            Self::SentAgain => "sent_again",
            Self::SendResolved => "send_resolved",
            Self::DuplicateSendDetected => "duplicate_send_detected",
            Self::DeliveryChanged => "delivery_changed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_short_line() {
        assert_eq!(subject_of(&Text::new("my heater\n is  broken"), false).reveal(), "my heater is broken");
        assert_eq!(subject_of(&Text::new(""), true).reveal(), "(picture)");
        assert_eq!(subject_of(&Text::new("x".repeat(500)), false).reveal().chars().count(), 121);
    }
}
