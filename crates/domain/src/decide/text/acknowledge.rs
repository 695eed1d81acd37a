//! The automatic reply to a text, and what holds it back.

use chrono::TimeDelta;
use serde_json::json;

use super::{Arrival, trail};
use crate::case::{Case, Trail};
use crate::contact::Contact;
use crate::id::Mint;
use crate::message::{Direction, Message, Rule, Why};
use crate::outbox::Outgoing;
use crate::state::Effect;
use crate::template::{Template, Variables};
use crate::text::Text;

/// Why an automatic reply was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Withheld {
    TenMinutes,
    Day,
    OptedOut,
    OwnLine,
    LineRemoved,
    Unreachable,
    Template,
    Restored,
}

impl Withheld {
    fn as_str(self) -> &'static str {
        match self {
            Self::TenMinutes => "loop_guard_ten_minutes",
            Self::Day => "loop_guard_day",
            Self::OptedOut => "opted_out",
            Self::OwnLine => "own_line",
            Self::LineRemoved => "line_removed",
            Self::Unreachable => "unreachable",
            Self::Template => "template_failed",
            Self::Restored => "restored",
        }
    }
}

impl Arrival<'_> {
    /// The automatic reply this text calls for, queued or held back with its reason; nothing when the line
    /// has none for it. `None` where it has one and the contact is not known, which would be a fault of what was loaded.
    pub(super) fn acknowledge(
        &self,
        case: &Case,
        kind: Trail,
        cause: &Message,
        mint: Mint<'_>,
    ) -> Option<Vec<Effect>> {
        let templates = &self.line.acknowledgements;
        let template = match kind {
            Trail::CaseOpened => &templates.on_open,
            Trail::CaseReopened => &templates.on_reopen,
            _ => &templates.on_update,
        };
        let Some(template) = template else { return Some(Vec::new()) };
        let contact = self.state.contacts.get(&self.conversation.contact_id)?;
        Some(match self.reply_text(template, case, contact) {
            Ok(body) => self.queue(case, body, cause, mint),
            Err(withheld) => {
                let why = json!({ "because": withheld.as_str() });
                let change = json!({ "message": cause.id });
                vec![trail(self.state, case, "casewire", Trail::AcknowledgementWithheld, why, change)]
            }
        })
    }

    fn reply_text(&self, template: &Template, case: &Case, contact: &Contact) -> Result<Text, Withheld> {
        if !self.line.active {
            return Err(Withheld::LineRemoved);
        }
        if self.rules.may_be_answered(self.facts.received_at) {
            return Err(Withheld::Restored);
        }
        if self.suppressed() {
            return Err(Withheld::OptedOut);
        }
        if contact.address.digits().is_none() {
            return Err(Withheld::Unreachable);
        }
        if self.rules.is_ours(&contact.address) {
            return Err(Withheld::OwnLine);
        }
        self.guard()?;
        let variables = Variables {
            case_number: case.number,
            contact_name: contact.name.reveal(),
            line: &self.line.webhook_id,
        };
        let body = template.render(&variables).map_err(|_| Withheld::Template)?;
        if body.trim().is_empty() { Err(Withheld::Template) } else { Ok(Text::new(body)) }
    }

    /// The loop guard. It counts what was queued for this contact on this line, whatever rule queued it.
    fn guard(&self) -> Result<(), Withheld> {
        let times = self.state.automatic.get(&(self.line.id, self.conversation.contact_id));
        let within = |span: TimeDelta| {
            let count = times.into_iter().flatten().filter(|at| self.state.at - **at < span).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        if within(TimeDelta::minutes(10)) >= self.line.guard.per_ten_minutes {
            return Err(Withheld::TenMinutes);
        }
        if within(TimeDelta::days(1)) >= self.line.guard.per_day {
            return Err(Withheld::Day);
        }
        Ok(())
    }

    fn queue(&self, case: &Case, body: Text, cause: &Message, mint: Mint<'_>) -> Vec<Effect> {
        let message = Message {
            id: mint().into(),
            direction: Direction::Outbound,
            provider_sid: None,
            body,
            media: Vec::new(),
            automatic: true,
            cause_id: Some(cause.id),
            why: Why::rule(Rule::Acknowledgement),
            // After its cause in the thread, even where ingest's clock is ahead of the database's.
            received_at: self.state.at.max(cause.received_at),
            ..cause.clone()
        };
        let outgoing = Outgoing::queued(&message);
        let change = json!({ "message": message.id, "cause": cause.id });
        let entry = trail(self.state, case, "casewire", Trail::AcknowledgementQueued, &message.why, change);
        vec![Effect::AddMessage(message), Effect::PutOutgoing(outgoing), entry]
    }
}
