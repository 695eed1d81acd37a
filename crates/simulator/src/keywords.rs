//! STOP, START and HELP, answered as Twilio answers them: by itself, without asking the line's owner.
//! Sources: Twilio help 223134027 (keywords) and 360058144374 (toll-free); the sentences are in our words
//! where Twilio's are its own wording.

use std::collections::HashSet;

use casewire_domain::{Address, Keyword};

use crate::account::Line;
use crate::geography::is_toll_free;

/// What an opt-out covers: the one number, or the whole Service it is in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Number(Address),
    Service(String),
}

impl Scope {
    pub(crate) fn of(number: &Address, line: Option<&Line>) -> Self {
        match line.and_then(|line| line.messaging_service_sid.clone()) {
            Some(service) => Self::Service(service),
            None => Self::Number(number.clone()),
        }
    }
}

/// Who has opted out of what.
#[derive(Default)]
pub(crate) struct OptOuts(HashSet<(Scope, Address)>);

impl OptOuts {
    pub(crate) fn contains(&self, scope: &Scope, person: &Address) -> bool {
        self.0.contains(&(scope.clone(), person.clone()))
    }

    /// Applies a text to the list; gives the keyword it is to this line, and the answer the person gets.
    pub(crate) fn hear(
        &mut self,
        person: &Address,
        number: &Address,
        line: Option<&Line>,
        body: &str,
    ) -> (Option<Keyword>, Option<&'static str>) {
        let Some(keyword) = keyword(number, line, body) else { return (None, None) };
        let entry = (Scope::of(number, line), person.clone());
        let toll_free = is_toll_free(number.reveal());
        let answer = match keyword {
            // Said twice it is answered once: the second text finds the person opted out already.
            Keyword::Stop => self.0.insert(entry).then_some(if toll_free {
                "NETWORK MSG: You replied with a stop word, which blocks all texts from this number. Text UNSTOP to receive them again."
            } else {
                "You are unsubscribed and will receive no more messages from this number. Reply START to resubscribe."
            }),
            Keyword::Start => self.0.remove(&entry).then_some(if toll_free {
                "NETWORK MSG: You will receive messages from this number again."
            } else {
                "You are subscribed again to messages from this number. Reply HELP for help, STOP to unsubscribe. Msg & data rates may apply."
            }),
            Keyword::Help if toll_free && self.0.contains(&entry) => None,
            Keyword::Help => Some("Reply STOP to unsubscribe. Msg & data rates may apply."),
        };
        (Some(keyword), answer)
    }
}

/// The keyword a text is, when sent to this number.
fn keyword(number: &Address, line: Option<&Line>, body: &str) -> Option<Keyword> {
    let in_service = line.is_some_and(|line| line.messaging_service_sid.is_some());
    let is_short_code = !number.reveal().starts_with('+');
    // A short code by itself is its owner's business.
    if is_short_code && !in_service {
        return None;
    }
    let keyword = Keyword::of(body)?;
    // The carrier, which decides for toll-free numbers, does not know YES.
    let carrier_ignores = is_toll_free(number.reveal()) && body.trim().eq_ignore_ascii_case("YES");
    (!carrier_ignores).then_some(keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = "+12065550100";

    fn answers(number: &str, texts: &[&str]) -> Vec<bool> {
        let mut list = OptOuts::default();
        let (person, number) = (Address::from_stored(PERSON), Address::from_stored(number));
        texts.iter().map(|text| list.hear(&person, &number, None, text).1.is_some()).collect()
    }

    #[test]
    fn a_repeated_stop_is_answered_once() {
        assert_eq!(
            answers("+15550000000", &["stop", "STOP", "Start", "START", "quit"]),
            [true, false, true, false, true]
        );
    }

    #[test]
    fn only_the_whole_text_is_a_keyword() {
        assert_eq!(
            answers("+15550000000", &["STOP PLEASE", "stop.", "help me", " Help "]),
            [false, false, false, true]
        );
    }

    #[test]
    fn a_toll_free_carrier_does_not_know_yes_and_gives_no_help_to_who_opted_out() {
        assert_eq!(
            answers("+18005550000", &["HELP", "STOP", "HELP", "YES", "UNSTOP", "HELP"]),
            [true, true, false, false, true, true]
        );
    }

    #[test]
    fn a_short_code_answers_for_itself() {
        assert_eq!(answers("747474", &["STOP", "HELP"]), [false, false]);
    }
}
