//! Uncertain sends: what the provider's list says of them, and whose the ids on it are.
//!
//! The provider keeps no reference of ours with a text, so a text is recognised by its envelope: sender, recipient,
//! words, time. Two texts of ours can look alike. The rule, in which a text of ours without an id counts as soon as
//! an attempt of it may have reached the provider:
//!
//! 1. An id on the list can be of an attempt only if it was created no earlier than [`CLOCKS`] before the attempt
//!    began and no later than [`REACH`] after, and if no text of ours has it.
//! 2. Where no other text of ours could own one of these ids, they are all this text's: as many as it was sent (more
//!    mean that somebody else sends the same words, and nothing is bound). The oldest is bound, another is a double.
//! 3. Where others could, all of them are looked at with all the ids they could own, and so on. If each of these texts
//!    was sent once, none is being sent now, and there are exactly as many ids as texts, each has one, in the order in
//!    which the attempts began.
//! 4. Else nothing is bound: a callback names its text for sure, and may still come. What stays open is held for a
//!    person, and never sent again by itself.
//!
//! What another *could* own, and what speaks against sending a text again, allows for clocks that differ by [`SKEW`]:
//! a wrong clock can leave a text open, and neither send it twice nor give it another's id.
//!
//! So a list that hides texts can leave one open. It can bind an id to the wrong text only where somebody else sends
//! the same words from the same number to the same person within minutes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::id::MessageId;
use crate::status::DeliveryStatus;
use crate::text::Text;

/// How far the provider's clock may be behind ours; its times are whole seconds, too.
pub const CLOCKS: TimeDelta = TimeDelta::seconds(5);

/// How far the two clocks may differ before a text could be sent twice or have another's id. A clock that somebody
/// keeps is right within seconds, and one that is minutes wrong is noticed by people; what it costs is that other texts
/// to the same person within this time leave one open that could have been settled. The list is read this far back.
pub const SKEW: TimeDelta = TimeDelta::minutes(15);

/// How long after an attempt began its text can be created. Twilio gives up on a request after some 26 seconds and ours
/// wait 15; ten minutes are far beyond what a network holds back, clocks included.
pub const REACH: TimeDelta = TimeDelta::minutes(10);

/// The provider's list, read for one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The text.
    pub message_id: MessageId,
    /// The attempt whose outcome is unknown.
    pub attempt: u32,
    /// Whether this was the last time it is read for this attempt.
    pub last: bool,
    /// Most times a text is sent again by itself.
    pub resends_most: u32,
    /// What it said.
    pub answer: Answer,
}

/// What the list said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It could not be read, and is read again after this time.
    Unreadable {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Texts to this person.
    Listed {
        /// The texts, in any order.
        texts: Vec<Listed>,
        /// Whether these are all that can matter. What is missing then is not there.
        complete: bool,
    },
}

/// A text to this person on the provider's list, whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The provider's id.
    pub sid: String,
    /// When it was created; `None` where that is not told.
    pub created_at: Option<DateTime<Utc>>,
    /// Whether it was asked for as ours are: through the API, from this line.
    pub as_ours: bool,
    /// What it says.
    pub body: Text,
    /// How far it has come.
    pub status: Option<DeliveryStatus>,
    /// Why it failed.
    pub error_code: Option<u32>,
}

impl Look {
    /// The texts on the list; none where it could not be read.
    pub fn listed(&self) -> &[Listed] {
        match &self.answer {
            Answer::Listed { texts, .. } => texts,
            Answer::Unreadable { .. } => &[],
        }
    }
}

/// What a person says of a text that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived: nothing more is waited for.
    Arrived,
    /// It is sent again.
    SendAgain,
    /// It is not sent.
    DoNotSend,
}

impl Verdict {
    /// The name used in the API, on the command line and in the trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::SendAgain => "send_again",
            Self::DoNotSend => "do_not_send",
        }
    }

    /// The verdict of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Arrived, Self::SendAgain, Self::DoNotSend].into_iter().find(|it| it.as_str() == name)
    }
}

/// A text of ours without an id, of which an attempt may have reached the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimant {
    /// When the first and the last such attempt began; `None` where that is forgotten.
    pub(crate) attempts: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// How many such attempts there may have been.
    pub(crate) sent: usize,
    /// Whether one is under way now.
    pub(crate) sending: bool,
    /// Tells those of one time apart.
    pub(crate) id: MessageId,
}

impl Claimant {
    /// Whether an id created at this time can be its.
    pub(crate) fn can_own(&self, created: DateTime<Utc>) -> bool {
        self.attempts.is_none_or(|(first, last)| first - CLOCKS <= created && created <= last + REACH)
    }

    /// Whether an id created at this time can be its where a clock is wrong.
    fn could_own(&self, created: DateTime<Utc>) -> bool {
        self.attempts.is_none_or(|(first, last)| first - SKEW <= created && created <= last + REACH + SKEW)
    }

    fn was_sent_once(&self) -> bool {
        self.attempts.is_some() && self.sent == 1 && !self.sending
    }
}

/// Whose the ids on the list are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attribution {
    /// None can be this text's.
    Absent,
    /// Some may be this text's, or another's.
    Unclear,
    /// This one is this text's; and these are too, if there are any.
    Its(String, Vec<String>),
}

/// An id, and when it was created.
type Id = (DateTime<Utc>, String);

/// Whose the ids are, by the rule above: `free` are ids with these words that no text has, and when they were created;
/// `rivals` are the other texts of ours with these words.
pub(crate) fn attribute(text: &Claimant, rivals: &[Claimant], free: &[Id]) -> Attribution {
    let mut its: Vec<_> = free.iter().filter(|(created, _)| text.can_own(*created)).collect();
    its.sort();
    if its.is_empty() {
        return Attribution::Absent;
    }
    let (mut all, ids) = entangled(text, its.clone(), rivals, free);
    let sid = |(_, sid): &&Id| sid.clone();
    if all.len() == 1 {
        return match its.first() {
            Some(first) if its.len() <= text.sent => {
                Attribution::Its(sid(first), its.iter().skip(1).map(sid).collect())
            }
            _ => Attribution::Unclear,
        };
    }
    all.sort_by_key(|claimant| (claimant.attempts, claimant.id));
    let pairs = all.len() == ids.len()
        && all.iter().all(|claimant| claimant.was_sent_once())
        && all.iter().zip(&ids).all(|(claimant, (created, _))| claimant.can_own(*created));
    let place = all.iter().position(|claimant| claimant.id == text.id);
    match place.and_then(|place| ids.get(place)) {
        Some(id) if pairs => Attribution::Its(sid(id), Vec::new()),
        _ => Attribution::Unclear,
    }
}

/// This text and everyone who could own one of the ids, all the ids that those could own, and so on; ids oldest first.
fn entangled<'a>(
    text: &'a Claimant,
    mut ids: Vec<&'a Id>,
    rivals: &'a [Claimant],
    free: &'a [Id],
) -> (Vec<&'a Claimant>, Vec<&'a Id>) {
    let mut all = vec![text];
    loop {
        let before = (all.len(), ids.len());
        let could = |rival: &&Claimant| ids.iter().any(|(created, _)| rival.could_own(*created));
        all = rivals.iter().filter(could).chain([text]).collect();
        let others = &all[..all.len() - 1];
        let more = |id: &&Id| ids.contains(id) || others.iter().any(|other| other.could_own(id.0));
        ids = free.iter().filter(more).collect();
        if (all.len(), ids.len()) == before {
            ids.sort();
            return (all, ids);
        }
    }
}

#[cfg(test)]
mod tests;
