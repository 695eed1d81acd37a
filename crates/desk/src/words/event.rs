//! What happened to a case.

use serde_json::Value;

/// An event of a case's trail in a few words, without a full stop. An unknown kind is told by its name: a
/// newer version may have written it.
pub fn said(kind: &str, actor: &str, change: &Value) -> String {
    let who = person(actor);
    let by_person = actor.starts_with("agent:");
    match kind {
        "case_opened" => "It opened the case".to_owned(),
        "text_joined" => "It joined the case".to_owned(),
        "case_reopened" if by_person => format!("{who} reopened the case"),
        "case_reopened" => "It reopened the case".to_owned(),
        "status_set" => match change["to"].as_str() {
            Some("closed") => format!("{who} closed the case"),
            Some(status) => format!("{who} set the case to {status}"),
            None => format!("{who} changed the case"),
        },
        "acknowledgement_queued" | "reply_queued" => "Queued".to_owned(),
        "acknowledgement_withheld" => "Automatic reply held back".to_owned(),
        "send_accepted" => "Taken by Twilio".to_owned(),
        "send_failed" if change["status"] == "canceled" => "Not sent".to_owned(),
        "send_failed" => "Refused by Twilio".to_owned(),
        "send_uncertain" => "No clear answer from Twilio: not sent again until it is known".to_owned(),
        "send_unsettled" => "Nobody knows whether it was sent: a person must decide".to_owned(),
        "sent_again" => "Sent again, since Twilio does not list it".to_owned(),
        "send_resolved" => match change["verdict"].as_str() {
            Some("arrived") => format!("{who} says that it arrived"),
            Some("send_again") => format!("{who} had it sent again"),
            _ => format!("{who} had it given up"),
        },
        "duplicate_send_detected" => "It may have reached the customer twice".to_owned(),
        "delivery_changed" => delivered(change),
        other => other.replace('_', " "),
    }
}

fn delivered(change: &Value) -> String {
    let status = change["status"].as_str().unwrap_or("changed");
    let mut letters = status.chars();
    let status: String = letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect();
    match change["error_code"].as_u64() {
        Some(code) => format!("{status}, error {code}"),
        None => status,
    }
}

/// Why something that stands out happened, in whole sentences; `None` where the event says it all.
pub fn reason(kind: &str, why: &Value) -> Option<&'static str> {
    Some(match (kind, why["because"].as_str()?) {
        ("acknowledgement_withheld", "loop_guard_ten_minutes") => {
            "This contact has had as many automatic replies in ten minutes as the line allows. \
             More could be two machines answering each other. A person can still reply."
        }
        ("acknowledgement_withheld", "loop_guard_day") => {
            "This contact has had as many automatic replies today as the line allows. A person can still reply."
        }
        ("acknowledgement_withheld", "opted_out") => "The contact has opted out of texts on this line.",
        ("acknowledgement_withheld", "own_line") => {
            "The text came from a line of our own; two lines would answer each other for ever."
        }
        ("acknowledgement_withheld", "line_removed") => "The line it was sent to has been removed.",
        ("acknowledgement_withheld", "unreachable") => {
            "The sender is a name, not a number, and takes no texts."
        }
        ("acknowledgement_withheld", "template_failed") => {
            "The line's template could not be filled in. Check it in the line's settings."
        }
        ("acknowledgement_withheld", "restored") => {
            "The text is from before the database was brought back from a backup, and may have been answered then."
        }
        ("send_uncertain", "restored") => {
            "The database was brought back from a backup, and it may have been sent after that was taken."
        }
        ("send_unsettled", "not_found") => "Twilio does not list it. It may show up yet.",
        ("send_unsettled", "ambiguous") => {
            "Twilio lists a text to this contact that may be this one, and nothing tells for sure."
        }
        ("send_unsettled", "not_read_whole") => {
            "Twilio's list of texts to this contact was too long to be read to its end. This one may be on it."
        }
        ("send_unsettled", "list_unreadable") => "Twilio's list could not be read in time.",
        ("send_failed", "opted_out") => "The contact has opted out of texts on this line.",
        _ => return None,
    })
}

/// How an actor is called: an agent by name.
pub(super) fn person(actor: &str) -> &str {
    match actor {
        "customer" => "The customer",
        "casewire" => "casewire",
        "operator" => "The operator",
        "provider" => "Twilio",
        other => other.strip_prefix("agent:").unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn closing_says_who_did_it() {
        let change = json!({ "from": "open", "to": "closed" });
        assert_eq!(said("status_set", "agent:anna", &change), "anna closed the case");
    }

    #[test]
    fn a_delivery_says_how_far_it_came() {
        assert_eq!(said("delivery_changed", "provider", &json!({ "status": "delivered" })), "Delivered");
        let failed = json!({ "status": "undelivered", "error_code": 30003 });
        assert_eq!(said("delivery_changed", "provider", &failed), "Undelivered, error 30003");
    }

    #[test]
    fn a_reply_held_back_says_why() {
        for because in [
            "loop_guard_ten_minutes",
            "loop_guard_day",
            "opted_out",
            "own_line",
            "line_removed",
            "unreachable",
            "template_failed",
        ] {
            let why = json!({ "because": because });
            assert!(reason("acknowledgement_withheld", &why).is_some(), "{because}");
        }
    }

    #[test]
    fn a_text_nobody_knows_of_says_why() {
        for because in ["not_found", "ambiguous", "not_read_whole", "list_unreadable"] {
            assert!(reason("send_unsettled", &json!({ "because": because })).is_some(), "{because}");
        }
    }

    #[test]
    fn a_kind_of_a_newer_version_is_told_by_its_name() {
        assert_eq!(said("case_merged", "agent:anna", &json!({})), "case merged");
    }
}
