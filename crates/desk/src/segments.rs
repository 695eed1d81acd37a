//! How many segments a text takes on its way (3GPP TS 23.038; 23.040 for the parts of a longer one).

/// The characters of GSM-7 that take one place.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Those that take two: an escape before them.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How many segments this text takes. One character outside GSM-7 makes all of it UCS-2; a character of two
/// places is never split across segments.
pub(crate) fn count(body: &str) -> u32 {
    let gsm7 = |c: char| match c {
        c if BASIC.contains(c) => Some(1),
        c if EXTENDED.contains(c) => Some(2),
        _ => None,
    };
    match body.chars().map(gsm7).collect::<Option<Vec<usize>>>() {
        Some(places) => fill(&places, 160, 153),
        None => fill(&body.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

fn fill(places: &[usize], alone: usize, part: usize) -> u32 {
    if places.iter().sum::<usize>() <= alone {
        return u32::from(!places.is_empty());
    }
    let mut segments = 1;
    let mut used = 0;
    for place in places {
        if used + place > part {
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
    fn a_text_fits_one_segment_up_to_160_plain_characters() {
        assert_eq!([count(""), count("a"), count(&"a".repeat(160)), count(&"a".repeat(161))], [0, 1, 1, 2]);
        assert_eq!([count(&"a".repeat(306)), count(&"a".repeat(307)), count(&"a".repeat(1600))], [2, 3, 11]);
    }

    #[test]
    fn one_foreign_character_makes_all_of_it_costlier() {
        assert_eq!([count(&"ł".repeat(70)), count(&"ł".repeat(71)), count(&"ł".repeat(1600))], [1, 2, 24]);
        assert_eq!([count(&"😀".repeat(35)), count(&"😀".repeat(36))], [1, 2]);
    }

    #[test]
    fn a_character_of_two_places_is_not_split() {
        assert_eq!([count(&"€".repeat(80)), count(&"€".repeat(81))], [1, 2]);
        // 152 places, then one of two: it moves to the next segment as a whole.
        let text = format!("{}€{}", "a".repeat(152), "a".repeat(152));
        assert_eq!(count(&text), 3);
        // 33 pairs fill 66 of 67 places.
        assert_eq!([count(&"😀".repeat(66)), count(&"😀".repeat(67))], [2, 3]);
    }
}
