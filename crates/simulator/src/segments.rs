//! How many parts a text travels in. Source: Twilio glossary, "what is the SMS character limit" and
//! "what is GSM-7": 160 or 7 × 153 places; one character outside GSM-7 makes it UCS-2, 70 or 67 places.

/// The characters of GSM-7 that take one place.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The characters of GSM-7 that take two places, which must not be split.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// The number of segments of a text; at least 1.
pub(crate) fn segments(text: &str) -> usize {
    match gsm_places(text) {
        Some(places) => count(&places, 160, 153),
        None => count(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

fn gsm_places(text: &str) -> Option<Vec<usize>> {
    text.chars()
        .map(|c| match c {
            _ if BASIC.contains(c) => Some(1),
            _ if EXTENDED.contains(c) => Some(2),
            _ => None,
        })
        .collect()
}

fn count(places: &[usize], alone: usize, each: usize) -> usize {
    if places.iter().sum::<usize>() <= alone {
        return 1;
    }
    let mut segments = 1;
    let mut used = 0;
    for place in places {
        if used + place > each {
            segments += 1;
            used = 0;
        }
        used += place;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_letters_fit_160_and_then_153() {
        assert_eq!(segments(""), 1);
        assert_eq!(segments(&"a".repeat(160)), 1);
        assert_eq!(segments(&"a".repeat(161)), 2);
        assert_eq!(segments(&"a".repeat(1_600)), 11);
    }

    #[test]
    fn one_foreign_character_makes_it_70_and_then_67() {
        assert_eq!(segments(&"я".repeat(70)), 1);
        assert_eq!(segments(&"я".repeat(71)), 2);
        assert_eq!(segments(&"я".repeat(1_600)), 24);
    }

    #[test]
    fn two_place_characters_are_not_split() {
        assert_eq!(segments(&"€".repeat(80)), 1);
        assert_eq!(segments(&format!("{}€{}", "a".repeat(152), "a".repeat(151))), 2);
        assert_eq!(segments(&format!("{}€{}", "a".repeat(152), "a".repeat(152))), 3);
        assert_eq!(segments(&"😀".repeat(35)), 1);
        assert_eq!(segments(&"😀".repeat(36)), 2);
    }
}
