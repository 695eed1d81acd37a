//! A person, known by address.

use crate::address::Address;
use crate::id::{ContactId, WorkspaceId};
use crate::inbound::Location;
use crate::text::{Text, one_line};

/// A person, known by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Ours.
    pub id: ContactId,
    /// Whose contact.
    pub workspace_id: WorkspaceId,
    /// Where they are reached; unique in the workspace.
    pub address: Address,
    /// What to call them: a place or a number until a person writes a better one.
    pub name: Text,
    /// Generated, so that systems that know people by e-mail can know this one.
    pub email: Text,
}

/// Most characters of a place's name: the longest there is has 85.
const PLACE_CHARS: usize = 100;

/// The name of a contact nobody has named: "SMS from Seattle, WA", else the number.
pub fn generated_name(address: &Address, location: &Location) -> Text {
    let place = |name: &Option<String>| {
        let name = one_line(name.as_deref()?, PLACE_CHARS);
        (!name.is_empty()).then_some(name)
    };
    let city = place(&location.city).map(|city| title_case(&city));
    let state = place(&location.state);
    let state = state.map(|s| if s.len() <= 3 { s.to_uppercase() } else { title_case(&s) });
    match (city, state) {
        (Some(city), Some(state)) => Text::new(format!("SMS from {city}, {state}")),
        (Some(place), None) | (None, Some(place)) => Text::new(format!("SMS from {place}")),
        (None, None) => Text::new(address.reveal()),
    }
}

/// An e-mail address no mail server has: `12065550100@sms.casewire.invalid`; a sender by name is spelt in
/// lower-case letters, digits and dashes.
pub fn generated_email(address: &Address) -> Text {
    let local = match address.digits() {
        Some(digits) => digits.to_owned(),
        None => {
            let keep = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
            address.reveal().chars().map(keep).collect()
        }
    };
    Text::new(format!("{local}@sms.casewire.invalid"))
}

fn title_case(words: &str) -> String {
    let mut start = true;
    words
        .chars()
        .flat_map(|c| {
            let first = std::mem::replace(&mut start, !c.is_alphanumeric() && c != '\'');
            let cased: Vec<char> =
                if first { c.to_uppercase().collect() } else { c.to_lowercase().collect() };
            cased
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(city: &str, state: &str, expected: &str) {
        let location = Location { city: Some(city.into()), state: Some(state.into()), ..Location::default() };
        let name = generated_name(&Address::from_stored("+12065550100"), &location);
        assert_eq!(name.reveal(), expected);
    }

    #[test]
    fn a_contact_is_named_from_its_location_in_title_case() {
        check("SEATTLE", "WA", "SMS from Seattle, WA");
        check("SAN FRANCISCO", "CA", "SMS from San Francisco, CA");
        check("COEUR D'ALENE", "id", "SMS from Coeur D'alene, ID");
        check("", "WA", "SMS from WA");
        check("BERLIN", "", "SMS from Berlin");
    }

    #[test]
    fn a_name_is_one_line_of_bounded_length() {
        check("SAN\r\n FRANCISCO\u{1b}", "C\0A", "SMS from San Francisco, C A");
        check(&"X".repeat(500), "", &format!("SMS from X{}…", "x".repeat(99)));
    }

    #[test]
    fn a_contact_from_nowhere_is_named_by_number() {
        check("", " ", "+12065550100");
    }

    #[test]
    fn every_contact_has_an_email() {
        assert_eq!(
            generated_email(&Address::from_stored("+12065550100")).reveal(),
            "12065550100@sms.casewire.invalid"
        );
        assert_eq!(
            generated_email(&Address::from_stored("ACME Bank")).reveal(),
            "acme-bank@sms.casewire.invalid"
        );
    }
}
