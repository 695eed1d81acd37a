//! Why a text is where it is.

use casewire_domain::CaseNumber;
use casewire_domain::message::{Because, PassedOver, Rule};

/// The rule that placed a text, in words. `case` is the number of the case it is shown in.
pub fn rule(rule: Rule, case: CaseNumber) -> String {
    match rule {
        Rule::OpenedFirst => format!("the first text of this conversation, so it opened case {case}."),
        Rule::OpenedAfterClosing => format!("the case before was closed, so it opened case {case}."),
        Rule::JoinedCurrent => format!("it joined case {case}, which was not closed."),
        Rule::JoinedByNumber => format!("it names case {case}."),
        Rule::ReopenedByNumber => format!("it names case {case}, which was closed and is now open again."),
        Rule::Stop => "a word by which people opt out; it opens no case.".to_owned(),
        Rule::Start => "a word by which people opt in again; it opens no case.".to_owned(),
        Rule::Help => "a request for help, which the provider answers; it opens no case.".to_owned(),
        Rule::Reply => "a person replied.".to_owned(),
        Rule::Acknowledgement => "the line answers such a text by itself.".to_owned(),
    }
}

/// Why a case number in a text was not followed, in words.
pub fn passed_over(it: PassedOver) -> String {
    let number = it.number;
    match it.because {
        Because::NoSuchCase => format!("It names {number}, but no case has that number."),
        Because::NotAParticipant => format!("It names {number}, but the sender takes no part in that case."),
        Because::AnotherFollowed => format!("It names {number} too, but an earlier number decided."),
    }
}
