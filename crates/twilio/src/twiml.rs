//! The one TwiML document that ingest answers: nothing to say, nothing to do. A reply is a text of its own,
//! sent through the outbox, so no answer is ever built from what somebody wrote.

/// The empty document. The declaration starts at the first byte: Twilio refuses white space before it (12100).
pub const EMPTY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>";

/// The type to send it as; a body without one is logged by Twilio as an error (12300), and `text/plain`
/// would be texted to the customer.
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";
