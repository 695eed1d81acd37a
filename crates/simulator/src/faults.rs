//! Faults on request: rules that say what goes wrong, for which texts, and how often.

use casewire_domain::Address;
use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::message::Status;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// 429 with code 20429; nothing was accepted.
    TooManyRequests {
        /// Answered as `Retry-After`; `None` leaves the header out.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// 500 with code 20500; nothing was accepted.
    ErrorBeforeAccepting,
    /// 400 with code 21610, as if the person had opted out; nothing was accepted.
    OptedOut,
    /// A refusal of any code; nothing was accepted.
    Refuse {
        /// The HTTP status, 400 to 599.
        status: u16,
        /// Twilio's error code.
        code: u32,
    },
    /// The text is accepted, and 500 with code 20500 is answered.
    ErrorAfterAccepting,
    /// The text is accepted, and nothing is answered for `Config::hang`; then the connection closes.
    HangAfterAccepting,
    /// The text is accepted, and the connection is closed without a byte of an answer.
    ResetAfterAccepting,
    /// The text is accepted, and the connection is closed half-way through the 201's body.
    TruncatedAnswer,
    /// The text is accepted, and the 201's body is cut in half, though well-formed as HTTP.
    GarbledAnswer,
    /// The first status callback is delivered before the 201 is answered.
    CallbackBeforeAnswer,
    /// The text ends so, whatever its number.
    FailDelivery {
        /// `failed` or `undelivered`.
        status: FailedStatus,
        /// Twilio's error code.
        code: u32,
    },
    /// Each status callback is delivered this many more times.
    DuplicateCallbacks {
        /// How many more.
        copies: u32,
    },
    /// A status callback is held back until the text's next one has been delivered. The last one of a text
    /// has none after it and is never held.
    ReorderCallbacks,
    /// A status callback is never delivered.
    DropCallbacks,
    /// A status callback waits for a time drawn from this range.
    DelayCallbacks {
        /// No sooner.
        min_ms: u64,
        /// No later.
        max_ms: u64,
    },
    /// A text that was accepted is on lists only after this time, as where lists are read from a copy. By its id it is
    /// found at once.
    LateOnList {
        /// How late.
        after_ms: u64,
    },
    /// A text that was accepted is on no list, ever: the list lies.
    MissingFromList,
    /// A list is answered with 429 and code 20429.
    ListTooManyRequests {
        /// Answered as `Retry-After`; `None` leaves the header out.
        #[serde(default)]
        retry_after_s: Option<u64>,
    },
    /// A list is answered with 500 and code 20500.
    ListError,
    /// The webhook for a text is delivered this many more times, at the same time.
    DuplicateWebhooks {
        /// How many more.
        copies: u32,
    },
}

/// How a text that fails ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailedStatus {
    /// It never left Twilio.
    Failed,
    /// The carrier could not deliver it.
    Undelivered,
}

/// Where in a text's way a fault acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    BeforeAccepting,
    Answering,
    Hurrying,
    Ending,
    Callback,
    Webhook,
    Shelving,
    Listing,
}

impl Fault {
    fn stage(&self) -> Stage {
        match self {
            Self::TooManyRequests { .. }
            | Self::ErrorBeforeAccepting
            | Self::OptedOut
            | Self::Refuse { .. } => Stage::BeforeAccepting,
            Self::ErrorAfterAccepting
            | Self::HangAfterAccepting
            | Self::ResetAfterAccepting
            | Self::TruncatedAnswer
            | Self::GarbledAnswer => Stage::Answering,
            Self::CallbackBeforeAnswer => Stage::Hurrying,
            Self::FailDelivery { .. } => Stage::Ending,
            Self::DuplicateCallbacks { .. }
            | Self::ReorderCallbacks
            | Self::DropCallbacks
            | Self::DelayCallbacks { .. } => Stage::Callback,
            Self::DuplicateWebhooks { .. } => Stage::Webhook,
            Self::LateOnList { .. } | Self::MissingFromList => Stage::Shelving,
            Self::ListTooManyRequests { .. } | Self::ListError => Stage::Listing,
        }
    }
}

/// A fault, and when it happens. With neither `probability` nor `next` it happens always.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// How likely, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// How many more times; counted down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Only texts to this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// Only texts from this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Address>,
    /// Only callbacks of these statuses; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<Status>,
    /// How often it has happened; told, not taken.
    #[serde(default, skip_deserializing)]
    pub happened: u64,
}

impl Rule {
    /// A fault that always happens.
    pub fn always(fault: Fault) -> Self {
        Self { fault, probability: None, next: None, to: None, from: None, statuses: Vec::new(), happened: 0 }
    }

    /// A fault of the next `count` texts.
    pub fn next(count: u64, fault: Fault) -> Self {
        Self { next: Some(count), ..Self::always(fault) }
    }

    /// A fault of this probability, from 0 to 1.
    pub fn sometimes(probability: f64, fault: Fault) -> Self {
        Self { probability: Some(probability), ..Self::always(fault) }
    }

    fn fits(&self, of: &Case<'_>) -> bool {
        self.fault.stage() == of.stage
            && self.next != Some(0)
            && self.to.as_ref().is_none_or(|to| to == of.to)
            && self.from.as_ref().is_none_or(|from| from == of.from)
            && (self.statuses.is_empty() || of.status.is_some_and(|status| self.statuses.contains(&status)))
    }

    fn happens(&mut self, of: &Case<'_>, dice: &mut Dice) -> bool {
        let happens = self.fits(of) && self.probability.is_none_or(|probability| dice.chance(probability));
        if happens {
            self.happened += 1;
            self.next = self.next.map(|left| left - 1);
        }
        happens
    }
}

/// Why rules are refused; ask again with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// Not a probability.
    #[error("a probability is from 0 to 1")]
    Probability,
    /// Not the status of a refusal.
    #[error("the HTTP status of a refusal is from 400 to 599")]
    RefusalStatus,
    /// Too many copies for one text.
    #[error("at most {} copies", Rule::COPIES_MAX)]
    Copies,
    /// A range whose end comes before its start.
    #[error("min_ms is greater than max_ms")]
    Range,
}

impl Rule {
    /// Most copies of one callback or webhook, so that a slip of the keyboard is not a flood.
    pub const COPIES_MAX: u32 = 1_000;

    pub(crate) fn check(&self) -> Result<(), BadRule> {
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err(BadRule::Probability);
        }
        match self.fault {
            Fault::Refuse { status, .. } if !(400..600).contains(&status) => Err(BadRule::RefusalStatus),
            Fault::DuplicateCallbacks { copies } | Fault::DuplicateWebhooks { copies }
                if copies > Self::COPIES_MAX =>
            {
                Err(BadRule::Copies)
            }
            Fault::DelayCallbacks { min_ms, max_ms } if min_ms > max_ms => Err(BadRule::Range),
            _ => Ok(()),
        }
    }
}

/// The text, and the point of its way, for which a fault is looked up.
pub(crate) struct Case<'a> {
    pub(crate) stage: Stage,
    pub(crate) from: &'a Address,
    pub(crate) to: &'a Address,
    pub(crate) status: Option<Status>,
}

/// The rules in force.
pub(crate) struct Faults {
    pub(crate) rules: Vec<Rule>,
    // Each its own, so that which requests meet a fault does not depend on what runs in the background.
    requests: Dice,
    deliveries: Dice,
}

impl Faults {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        Self { rules: Vec::new(), requests: dice.fork(), deliveries: dice.fork() }
    }

    /// The fault of the first rule that happens.
    pub(crate) fn one(&mut self, of: &Case<'_>) -> Option<Fault> {
        let dice = if of.stage == Stage::Callback { &mut self.deliveries } else { &mut self.requests };
        self.rules.iter_mut().find_map(|rule| rule.happens(of, dice).then(|| rule.fault.clone()))
    }

    /// The faults of every rule that happens to a callback.
    pub(crate) fn all(&mut self, of: &Case<'_>) -> Vec<Fault> {
        let happening = self
            .rules
            .iter_mut()
            .filter_map(|rule| rule.happens(of, &mut self.deliveries).then(|| rule.fault.clone()));
        happening.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case<'a>(stage: Stage, number: &'a Address) -> Case<'a> {
        Case { stage, from: number, to: number, status: Some(Status::Sent) }
    }

    fn faults(rules: Vec<Rule>) -> Faults {
        Faults { rules, ..Faults::new(&mut Dice::new(Some(1))) }
    }

    #[test]
    fn a_rule_for_the_next_two_texts_happens_twice() {
        let number = Address::from_stored("+12065550100");
        let mut faults = faults(vec![Rule::next(2, Fault::ResetAfterAccepting)]);
        let answers: Vec<_> =
            (0..3).map(|_| faults.one(&case(Stage::Answering, &number)).is_some()).collect();
        assert_eq!(answers, [true, true, false]);
        assert_eq!(faults.rules[0].happened, 2);
    }

    #[test]
    fn a_probability_is_kept_within_reason() {
        let number = Address::from_stored("+12065550100");
        let mut faults = faults(vec![Rule::sometimes(0.3, Fault::DropCallbacks)]);
        for _ in 0..10_000 {
            faults.all(&case(Stage::Callback, &number));
        }
        assert!((2_700..3_300).contains(&faults.rules[0].happened), "{}", faults.rules[0].happened);
    }

    #[test]
    fn a_rule_acts_only_on_its_stage_number_and_status() {
        let number = Address::from_stored("+12065550100");
        let mut rule = Rule::always(Fault::DropCallbacks);
        rule.statuses = vec![Status::Delivered];
        let mut other = Rule::always(Fault::DropCallbacks);
        other.to = Some(Address::from_stored("+12065550199"));
        let mut faults = faults(vec![rule, other]);
        assert_eq!(faults.all(&case(Stage::Callback, &number)), []);
        assert_eq!(faults.one(&case(Stage::Answering, &number)), None);
    }

    #[test]
    fn a_rule_reads_from_json_and_an_unknown_field_is_refused() {
        let read = |json: &str| serde_json::from_str::<Rule>(json);
        let rule = read(r#"{"fault": {"too_many_requests": {"retry_after_s": 2}}, "next": 3}"#);
        assert_eq!(
            rule.map(|r| (r.fault, r.next)).ok(),
            Some((Fault::TooManyRequests { retry_after_s: Some(2) }, Some(3)))
        );
        assert!(read(r#"{"fault": "reset_after_accepting"}"#).is_ok());
        assert!(read(r#"{"fault": "reset_after_accepting", "probabilty": 0.5}"#).is_err());
        assert!(read(r#"{"fault": {"duplicate_callbacks": {"copies": 1, "x": 2}}}"#).is_err());
    }

    #[test]
    fn rules_that_cannot_be_kept_are_refused() {
        assert_eq!(Rule::sometimes(1.5, Fault::OptedOut).check(), Err(BadRule::Probability));
        assert_eq!(Rule::always(Fault::Refuse { status: 200, code: 1 }).check(), Err(BadRule::RefusalStatus));
        let range = Fault::DelayCallbacks { min_ms: 2, max_ms: 1 };
        assert_eq!(Rule::always(range).check(), Err(BadRule::Range));
    }
}
