//! Twilio's error codes that the simulator answers with, each with its HTTP status and a sentence in our words.
//! Source: docs/api/errors, one page a code.

/// An error code's HTTP status and sentence.
pub(crate) fn of(code: u32) -> (u16, &'static str) {
    match code {
        20_001 => (400, "A parameter could not be read"),
        20_003 => (401, "Authenticate"),
        20_004 => (405, "Method not allowed"),
        20_404 => (404, "The requested resource was not found"),
        20_415 => (415, "Unsupported media type: send application/x-www-form-urlencoded"),
        20_429 => (429, "Too many requests"),
        20_500 => (500, "An internal server error has occurred"),
        _ => (400, sentence(code)),
    }
}

/// What a message's error code means.
pub(crate) fn sentence(code: u32) -> &'static str {
    match code {
        21_211 => "The 'To' number is not a valid phone number",
        21_212 => "The 'From' number is not a valid phone number, short code or sender",
        21_266 => "'To' and 'From' cannot be the same number",
        21_408 => "Permission to send to this region has not been enabled",
        21_602 => "A message body is required",
        21_603 => "A 'From' phone number is required",
        21_604 => "A 'To' phone number is required",
        21_606 => "The 'From' number is not one of this account's that can send to this 'To' number",
        21_609 => "The 'StatusCallback' URL is not valid",
        21_610 => "Attempt to send to unsubscribed recipient",
        21_611 => "The 'From' number has more messages queued than it may have",
        21_612 => "The 'To' number cannot be reached from this 'From' number",
        21_614 => "The 'To' number is not a mobile number",
        21_617 => "The concatenated message body exceeds the 1600 character limit",
        21_620 => "A media URL is not valid, or there are more than ten",
        21_703 => "The Messaging Service has no phone number",
        30_001 => "Queue overflow",
        30_002 => "Account suspended",
        30_003 => "Unreachable destination handset",
        30_004 => "Message blocked",
        30_005 => "Unknown destination handset",
        30_006 => "Landline or unreachable carrier",
        30_007 => "Message filtered",
        30_008 => "Unknown error",
        30_034 => "Message from an unregistered number",
        _ => "The message could not be sent or delivered",
    }
}
