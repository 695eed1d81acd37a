//! Where a number is from, as Twilio's webhooks tell: a handful of area codes, and the country of others.

use casewire_domain::Location;

/// Area code, city, state and one postal code of that city.
const AREA_CODES: &[(&str, &str, &str, &str)] = &[
    ("202", "WASHINGTON", "DC", "20001"),
    ("206", "SEATTLE", "WA", "98101"),
    ("212", "NEW YORK", "NY", "10001"),
    ("214", "DALLAS", "TX", "75201"),
    ("215", "PHILADELPHIA", "PA", "19102"),
    ("303", "DENVER", "CO", "80202"),
    ("305", "MIAMI", "FL", "33131"),
    ("312", "CHICAGO", "IL", "60601"),
    ("404", "ATLANTA", "GA", "30303"),
    ("415", "SAN FRANCISCO", "CA", "94103"),
    ("503", "PORTLAND", "OR", "97204"),
    ("512", "AUSTIN", "TX", "78701"),
    ("602", "PHOENIX", "AZ", "85003"),
    ("617", "BOSTON", "MA", "02108"),
    ("702", "LAS VEGAS", "NV", "89101"),
    ("713", "HOUSTON", "TX", "77002"),
    ("801", "SALT LAKE CITY", "UT", "84101"),
];

/// Calling code and country; `+1` that is not Canadian counts as US.
const COUNTRIES: &[(&str, &str)] = &[
    ("+1416", "CA"),
    ("+1514", "CA"),
    ("+1604", "CA"),
    ("+1", "US"),
    ("+31", "NL"),
    ("+33", "FR"),
    ("+34", "ES"),
    ("+39", "IT"),
    ("+41", "CH"),
    ("+43", "AT"),
    ("+44", "GB"),
    ("+46", "SE"),
    ("+49", "DE"),
    ("+52", "MX"),
    ("+55", "BR"),
    ("+61", "AU"),
    ("+81", "JP"),
    ("+91", "IN"),
];

/// What is known of a number's place; a channel's prefix (`whatsapp:`) makes it unknown, as at Twilio.
pub(crate) fn locate(number: &str) -> Location {
    let country = COUNTRIES.iter().find(|(code, _)| number.starts_with(code)).map(|(_, name)| *name);
    let area = number.strip_prefix("+1").and_then(|rest| rest.get(..3));
    let place = AREA_CODES.iter().find(|(code, ..)| area == Some(code));
    Location {
        city: place.map(|(_, city, ..)| (*city).to_owned()),
        state: place.map(|(_, _, state, _)| (*state).to_owned()),
        zip: place.map(|(.., zip)| (*zip).to_owned()),
        country: country.map(str::to_owned),
    }
}

/// Whether this is a toll-free number of the North American plan, whose carrier handles opt-out words.
pub(crate) fn is_toll_free(number: &str) -> bool {
    let area = number.strip_prefix("+1").and_then(|rest| rest.get(..3));
    area.is_some_and(|area| ["800", "833", "844", "855", "866", "877", "888"].contains(&area))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_area_code_tells_the_city() {
        let seattle = locate("+12065550100");
        assert_eq!(seattle.city.as_deref(), Some("SEATTLE"));
        assert_eq!(seattle.state.as_deref(), Some("WA"));
        assert_eq!(seattle.country.as_deref(), Some("US"));
    }

    #[test]
    fn an_unknown_one_tells_the_country_or_nothing() {
        assert_eq!(locate("+15550000000").country.as_deref(), Some("US"));
        assert_eq!(locate("+15550000000").city, None);
        assert_eq!(locate("+14165550000").country.as_deref(), Some("CA"));
        assert_eq!(locate("whatsapp:+12065550100"), Location::default());
    }
}
