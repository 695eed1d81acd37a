//! The provider's id of a message.

use super::Unreadable;
use crate::parameters::Parameters;

/// Whether this is a message's id: `SM` or `MM` and 32 hex digits (the pattern of Twilio's OpenAPI).
pub fn is_message_sid(text: &str) -> bool {
    let digits = text.strip_prefix("SM").or_else(|| text.strip_prefix("MM"));
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The message's id, from `MessageSid` or, where an old webhook has only those, its deprecated twins.
pub fn message_sid(parameters: &Parameters) -> Result<&str, Unreadable> {
    let sid = ["MessageSid", "SmsMessageSid", "SmsSid"].into_iter().find_map(|name| parameters.filled(name));
    let sid = sid.ok_or(Unreadable::Missing("MessageSid"))?;
    if is_message_sid(sid) { Ok(sid) } else { Err(Unreadable::MalformedSid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_sid_is_two_letters_and_32_hex_digits() {
        for sid in ["SM0123456789abcdef0123456789ABCDEF", "MM00000000000000000000000000000000"] {
            assert!(is_message_sid(sid), "{sid}");
        }
        for sid in ["", "SM", "SM0123456789abcdef0123456789abcde", "SM0123456789abcdef0123456789abcdefa"] {
            assert!(!is_message_sid(sid), "{sid}");
        }
        for sid in ["CA0123456789abcdef0123456789abcdef", "sm0123456789abcdef0123456789abcdef"] {
            assert!(!is_message_sid(sid), "{sid}");
        }
        assert!(!is_message_sid("SM0123456789abcdef0123456789abcdeg"));
    }

    #[test]
    fn a_malformed_sid_is_not_mended_by_another_parameter() {
        let twin = "SM0123456789abcdef0123456789abcdef";
        let old: Parameters = [("SmsSid", twin)].into_iter().collect();
        assert_eq!(message_sid(&old), Ok(twin));
        let malformed: Parameters = [("MessageSid", "SM1"), ("SmsSid", twin)].into_iter().collect();
        assert_eq!(message_sid(&malformed), Err(Unreadable::MalformedSid));
    }
}
