//! What Twilio's error codes mean, in sentences that may be shown and logged: Twilio's own texts repeat numbers.
//!
//! Twilio says that codes can change and should not drive a program; nothing here decides anything but
//! [`is_account_refusal`]. Source: Twilio's error dictionary.

/// Whether a code says that the account or its credentials are refused, whatever the message: it is not sent,
/// and no other message will be before a person acts.
pub fn is_account_refusal(code: u32) -> bool {
    // 10001 and 20005: the account is not active. 20003: the credentials are wrong.
    matches!(code, 10001 | 20003 | 20005)
}

/// The sentence for an error code of a send or a delivery; `None` for one not known here.
pub fn meaning(code: u32) -> Option<&'static str> {
    Some(match code {
        10001 | 20005 => "the account is not active",
        20003 => "the account's credentials were refused",
        20404 => "there is no such resource in the account",
        20429 => "the account makes too many requests at once",
        20500 => "the provider had an internal error",
        14107 => "too many texts went back and forth in a short time",
        21211 => "the recipient is not a valid number",
        21212 => "the sender is not a valid number",
        21408 => "sending to the recipient's region is not enabled",
        21606 => "the sender cannot text this recipient, or is not the account's",
        21608 => "a trial account can only text verified numbers",
        21610 => "the recipient has opted out",
        21611 => "the sender's queue is full",
        21612 => "the sender cannot reach this recipient",
        21614 | 21635 => "the recipient is not a mobile number",
        21617 => "the text is longer than 1,600 characters",
        21619 => "there is nothing to send",
        21620 => "a media URL is invalid",
        21703 => "the messaging service has no sender",
        30001 => "the provider's queue was full",
        30002 => "the account is suspended",
        30003 => "the handset could not be reached",
        30004 => "the message was blocked",
        30005 => "the recipient is unknown to the carrier",
        30006 => "the recipient is a landline or its carrier cannot be reached",
        30007 => "the carrier filtered the message",
        30008 => "the carrier gave no reason",
        30011 => "pictures cannot be sent there",
        30019 => "the content is too large for the carrier",
        30022 => "the sender's campaign sent too fast",
        30027 => "the carrier's daily limit was reached",
        30032 => "the toll-free number is not verified",
        30034 => "the sender is not registered for a campaign",
        30036 => "the message was not sent in time",
        30037 => "outbound messages are disabled",
        30038 => "the content was filtered as a one-time password",
        30450 => "the message was blocked as a sign of fraud",
        30454 => "the account's message limit was reached",
        30500 => "the provider had an internal error",
        63016 => "the recipient has not written within 24 hours, so only a template may be sent",
        _ => return None,
    })
}
