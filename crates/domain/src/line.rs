//! A line: one address customers reach, and the rules it was given.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::address::{Address, Region};
use crate::id::{AccountId, LineId, WorkspaceId};
use crate::template::Template;

/// A line as the rules see it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Ours.
    pub id: LineId,
    /// Who owns its cases and contacts.
    pub workspace_id: WorkspaceId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The `{line}` of its webhook URLs.
    pub webhook_id: String,
    /// The address replies leave from.
    pub address: Address,
    /// How numbers without a country code are read.
    pub region: Region,
    /// A removed line sends nothing new; its cases stay, and texts it still took are placed.
    pub active: bool,
    /// What is answered without a person.
    pub acknowledgements: Acknowledgements,
    /// How many automatic replies one contact may get.
    pub guard: Guard,
    /// What becomes of a text of which nobody can tell whether the provider took it.
    pub when_uncertain: WhenUncertain,
}

/// What becomes of a text of which nobody can tell whether the provider took it, once its list was read for the
/// last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenUncertain {
    /// A person decides. The default: only a person can ask the customer.
    #[default]
    Hold,
    /// It is sent again, once, where the list shows no text that could be it: for a line whose customers rather
    /// get a text twice than never.
    Resend,
}

impl WhenUncertain {
    /// The name used in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Resend => "resend",
        }
    }

    /// The choice of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Hold, Self::Resend].into_iter().find(|choice| choice.as_str() == name)
    }
}

/// The templates of a line's automatic replies; `None` sends nothing.
#[derive(Clone, Debug, Default)]
pub struct Acknowledgements {
    /// When a text opens a case.
    pub on_open: Option<Template>,
    /// When a text reopens a closed case.
    pub on_reopen: Option<Template>,
    /// When a text joins a case that is not closed.
    pub on_update: Option<Template>,
}

/// The default acknowledgement of a new case.
pub const DEFAULT_ON_OPEN: &str = "Thanks, we have your message. Your case number is {{ case_number }}.";
/// The default acknowledgement of a reopened case.
pub const DEFAULT_ON_REOPEN: &str = "Thanks, we have reopened case {{ case_number }}.";

/// The loop guard: how many automatic replies one contact may get on one line. Two auto-responders would
/// otherwise write to each other for ever; the provider's own guard acts only at 30 quick replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// In any ten minutes. Three: an opening, a reopening and one more are as many as a person provokes.
    pub per_ten_minutes: u32,
    /// In any 24 hours.
    pub per_day: u32,
}

impl Default for Guard {
    fn default() -> Self {
        Self { per_ten_minutes: 3, per_day: 10 }
    }
}

/// All lines, removed ones with a history included, as one decision sees them.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    by_webhook_id: HashMap<String, Arc<Line>>,
    by_id: HashMap<LineId, Arc<Line>>,
    addresses: HashSet<Address>,
    restored_at: Option<DateTime<Utc>>,
}

impl Rules {
    /// The rules of these lines.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut rules = Self::default();
        for line in lines.into_iter().map(Arc::new) {
            if line.active {
                rules.addresses.insert(line.address.clone());
            }
            rules.by_webhook_id.insert(line.webhook_id.clone(), line.clone());
            rules.by_id.insert(line.id, line);
        }
        rules
    }

    /// The same, for an installation whose database was brought back from a backup at this time.
    #[must_use]
    pub fn restored(self, at: Option<DateTime<Utc>>) -> Self {
        Self { restored_at: at, ..self }
    }

    /// Whether a text of this time may have been answered already, in a life that the database has forgotten.
    pub fn may_be_answered(&self, received_at: DateTime<Utc>) -> bool {
        self.restored_at.is_some_and(|restored| received_at <= restored)
    }

    /// The line of this webhook id.
    pub fn line(&self, webhook_id: &str) -> Option<&Line> {
        self.by_webhook_id.get(webhook_id).map(Arc::as_ref)
    }

    /// The line of this id.
    pub fn line_by_id(&self, id: LineId) -> Option<&Line> {
        self.by_id.get(&id).map(Arc::as_ref)
    }

    /// Whether an address is one of our lines in use: texts between our lines would never end.
    pub fn is_ours(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }
}
