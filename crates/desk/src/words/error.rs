//! What an error code of the provider means, and what to do next.
//!
//! Sources: Twilio's pages of the single codes (`https://www.twilio.com/docs/api/errors/<code>`). Codes may
//! change and new ones come, so nothing is decided by them: these are words only.

use casewire_domain::DeliveryStatus;

/// What became of a text that did not arrive, and what to do; `None` for one that is on its way or arrived.
pub fn error(status: DeliveryStatus, code: Option<u32>) -> Option<String> {
    if !matches!(status, DeliveryStatus::Failed | DeliveryStatus::Undelivered | DeliveryStatus::Canceled) {
        return None;
    }
    Some(match code {
        Some(code) => match known(code) {
            Some(words) => format!("{words} (Twilio {code})"),
            None => format!("Twilio gives error {code}; its page is twilio.com/docs/api/errors/{code}."),
        },
        None if status == DeliveryStatus::Canceled => {
            "It was not sent: the contact has opted out. They can text START to get texts again.".to_owned()
        }
        None => "The provider did not say why. Try another way to reach them.".to_owned(),
    })
}

fn known(code: u32) -> Option<&'static str> {
    Some(match code {
        20003 => "Twilio does not accept our credentials. Check the account's auth token.",
        21211 | 21614 => "This is no number that takes texts. Call them, or ask for another number.",
        21408 => "Texts to this country are switched off. Allow it under Messaging geo permissions.",
        21606 | 21612 => "This line cannot text that number. Use another line for this country.",
        21608 => "A trial account texts only verified numbers. Verify this one or upgrade the account.",
        21610 => "They have opted out with STOP. They must text START before anything can be sent.",
        21611 | 30001 => "The line's queue at Twilio is full. Send it again later.",
        21617 => "The text is longer than 1,600 characters. Send it in parts.",
        21635 => "This is a landline. Call them instead.",
        30002 => "The Twilio account is suspended. See the notice in Twilio's console.",
        30003 => "The phone cannot be reached: switched off or out of coverage. Send it again later.",
        30004 => "The number refuses our texts. Reach them another way.",
        30005 => "The number is not in use. Check it.",
        30006 => "This is a landline, or its carrier cannot be reached. Call them instead.",
        30007 => "The carrier took it for spam. Reword it without links and capitals, and send it again.",
        30008 => "The carrier does not say why. Send it once more; if it fails again, call them.",
        30019 => "It is too large for the carrier. Send it in parts.",
        30022 | 30027 => "The carrier's limit for this line is used up. Send it again tomorrow.",
        30032 => "The toll-free line is not verified. Verify it in Twilio's console.",
        30034 => "The line is not registered for texts in the US (10DLC). Register it in Twilio's console.",
        30036 => "It waited too long and ran out. Send it again if it still matters.",
        30037 => "Sending is switched off for this account. See Twilio's console.",
        30450 => "Twilio blocked it as suspected fraud. Check that the number is a customer's.",
        30454 => "The account's limit of texts is used up. Send it again later.",
        30500 => "Something failed inside Twilio. Send it again.",
        63016 => "On WhatsApp only a template may be sent more than 24 hours after their last message.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_or_is_on_its_way_needs_no_words() {
        for status in [DeliveryStatus::Queued, DeliveryStatus::Sent, DeliveryStatus::Delivered] {
            assert_eq!(error(status, Some(30003)), None);
        }
    }

    #[test]
    fn a_known_code_says_what_to_do() {
        let words = error(DeliveryStatus::Undelivered, Some(30003)).unwrap();
        assert!(words.contains("Send it again later") && words.contains("30003"), "{words}");
    }

    #[test]
    fn an_unknown_code_says_where_to_look() {
        let words = error(DeliveryStatus::Failed, Some(99999)).unwrap();
        assert!(words.contains("errors/99999"), "{words}");
    }

    #[test]
    fn a_failure_without_a_code_still_says_something() {
        assert!(error(DeliveryStatus::Failed, None).is_some());
        assert!(error(DeliveryStatus::Canceled, None).unwrap().contains("opted out"));
    }
}
