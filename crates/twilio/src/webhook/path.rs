//! The paths Twilio is told to call. Our message and attempt stand in the path of a delivery callback: they
//! come back even when the answer to the send was lost, and being in the path they cannot be re-ordered or
//! re-encoded as a query can.

use casewire_domain::MessageId;

/// The fragment for every URL given to Twilio: five retries on any failure, within its 15 s. By default it
/// retries only a failed connection, once, and a text whose webhook fails is lost. Twilio drops the fragment
/// before it calls or signs. Source: "Webhooks connection overrides".
pub const CONNECTION_OVERRIDES: &str = "#ct=2000&rt=5000&tt=15000&rc=5&rp=all";

/// The path of a line's texts; `line` is its webhook id.
pub fn message_path(line: &str) -> String {
    format!("/inbound/{line}")
}

/// The path of the delivery callbacks of one attempt to send one of our messages.
pub fn status_path(line: &str, message: MessageId, attempt: u32) -> String {
    format!("/inbound/{line}/status/{}.{attempt}", message.0.simple())
}

/// The URL to enter at Twilio for a line's texts, under the public URL the world reaches ingest by.
pub fn message_url(public_url: &str, line: &str) -> String {
    full(public_url, &message_path(line))
}

/// The `StatusCallback` of one attempt.
pub fn status_url(public_url: &str, line: &str, message: MessageId, attempt: u32) -> String {
    full(public_url, &status_path(line, message, attempt))
}

fn full(public_url: &str, path: &str) -> String {
    format!("{}{path}{CONNECTION_OVERRIDES}", public_url.trim_end_matches('/'))
}

/// Our message and attempt, from the target of a delivery callback. `None` for any other target, and for
/// anything that [`status_path`] would not have written in just this way.
pub fn parse_status_path(target: &str) -> Option<(MessageId, u32)> {
    let path = target.split(['?', '#']).next()?;
    let (rest, last) = path.rsplit_once('/')?;
    if !rest.ends_with("/status") {
        return None;
    }
    let (message, attempt) = last.split_once('.')?;
    let message: MessageId = message.parse().ok()?;
    let attempt: u32 = attempt.parse().ok()?;
    (last == format!("{}.{attempt}", message.0.simple())).then_some((message, attempt))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(bytes: u128) -> MessageId {
        format!("{bytes:032x}").parse().unwrap_or_else(|_| panic!("32 hex digits are an id"))
    }

    #[test]
    fn a_status_callback_names_message_and_attempt() {
        let url = status_url("https://a.example/sms/", "main", message(0xab), 2);
        assert_eq!(
            url,
            "https://a.example/sms/inbound/main/status/000000000000000000000000000000ab.2\
             #ct=2000&rt=5000&tt=15000&rc=5&rp=all"
        );
        assert_eq!(
            message_url("https://a.example", "main"),
            format!("https://a.example/inbound/main{CONNECTION_OVERRIDES}")
        );
    }

    #[test]
    fn what_we_did_not_write_names_nothing() {
        let id = "0".repeat(31) + "a";
        for target in [
            "/inbound/main".to_owned(),
            "/inbound/main/status".to_owned(),
            "/inbound/main/status/".to_owned(),
            format!("/inbound/main/status/{id}"),
            format!("/inbound/main/status/{id}.+1"),
            format!("/inbound/main/status/{id}.01"),
            format!("/inbound/main/status/{id}.4294967296"),
            format!("/inbound/main/status/{}.1", id.to_uppercase()),
            format!("/inbound/main/status/{{{id}}}.1"),
            format!("/inbound/main/{id}.1"),
            format!("/inbound/main?x=/status/{id}.1"),
        ] {
            assert_eq!(parse_status_path(&target), None, "{target}");
        }
    }

    proptest! {
        #[test]
        fn a_status_path_is_read_back(bytes in any::<u128>(), attempt in any::<u32>(), line in "[a-z0-9-]{1,20}") {
            let path = status_path(&line, message(bytes), attempt);
            prop_assert_eq!(parse_status_path(&path), Some((message(bytes), attempt)));
            prop_assert_eq!(parse_status_path(&format!("/prefix{path}?a=b")), Some((message(bytes), attempt)));
        }

        #[test]
        fn nothing_but_our_own_spelling_is_read(target in "(/|[a-f0-9]{2}|\\.|status|inbound|\\?){0,40}") {
            if let Some((message, attempt)) = parse_status_path(&target) {
                let written = status_path("", message, attempt);
                prop_assert!(target.contains(written.trim_start_matches("/inbound/")));
            }
        }
    }
}
