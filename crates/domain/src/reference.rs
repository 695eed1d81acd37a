//! Case numbers people write in their texts.

use crate::id::CaseNumber;

/// Most numbers looked up for one text; a text that lists more is no person's reference to a case.
pub const MAX_REFERENCES: usize = 5;

/// The eight-digit numbers in a text, in order and without repetition. Digits that are part of a longer
/// number (a phone number, an order number) are none.
pub fn case_numbers(body: &str) -> Vec<CaseNumber> {
    let mut numbers = Vec::new();
    for run in body.split(|c: char| !c.is_ascii_digit()) {
        if let Ok(number) = run.parse::<CaseNumber>()
            && !numbers.contains(&number)
        {
            numbers.push(number);
            if numbers.len() == MAX_REFERENCES {
                break;
            }
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        let numbers: Vec<_> = case_numbers(body).iter().map(ToString::to_string).collect();
        assert_eq!(numbers, expected, "{body}");
    }

    #[test]
    fn eight_digits_name_a_case() {
        check("about 00001001 please", &["00001001"]);
        check("#00001001!", &["00001001"]);
        check("00001001/00001002 00001001", &["00001001", "00001002"]);
        check("кейс00001001", &["00001001"]);
    }

    #[test]
    fn part_of_a_longer_number_names_none() {
        check("call +12065550100", &[]);
        check("1234567", &[]);
        check("123456789", &[]);
        check("", &[]);
    }
}
