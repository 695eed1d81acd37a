//! The labels, and what each may be.

use super::Label;
use super::Values::{All, Bounded};

macro_rules! labels {
    ($($name:ident = $text:literal $values:expr;)+) => {
        $(pub(super) const $name: Label = Label { name: $text, values: $values };)+
    };
}

labels! {
    VERSION = "version" Bounded("the program's own");
    REVISION = "revision" Bounded("the commit it was built from, or `unknown`");
    ROLE = "role" Bounded("the process's own");
    TASK = "task" Bounded("the process's critical tasks");
    STREAM = "stream" Bounded("the shards of the stream, `IN_0` and so on");
    DB_SYSTEM = "db_system_name" Bounded("`postgresql` or `sqlite`, whichever is used");
    DB_OPERATION = "db_operation_name" All(&["SELECT", "INSERT", "UPDATE", "DELETE", "other"]);
    CONNECTION_STATE = "state" All(&["idle", "used"]);
    WEBHOOK_KIND = "kind" All(&["inbound", "status"]);
    WEBHOOK_OUTCOME = "outcome" All(&[
        "accepted", "duplicate", "spilled", "rejected_signature", "rejected_invalid", "overloaded", "publish_failed",
        "error",
    ]);
    SIGNING_KEY = "key" All(&["newest_token", "older_token", "shared_key"]);
    PUBLISH_FAILURE = "reason" All(&["timeout", "no_responders", "stream_full", "disconnected", "other"]);
    NOT_KEPT = "reason" All(&["full", "aged", "timeout", "broken"]);
    CONSUMER = "consumer" All(&["work"]);
    DISPOSITION = "disposition" All(&["done", "duplicate", "waiting", "retry", "park"]);
    PARKED = "reason" All(&["unreadable", "unhandled", "delivered_too_often"]);
    CASE_EVENT = "event" All(&["created", "appended", "reopened"]);
    CASE_STATUS = "status" All(&["open", "pending"]);
    OPT_EVENT = "event" All(&["stop", "start", "help"]);
    OUTBOX_STATE = "state" All(&["queued", "sending", "uncertain", "held"]);
    ORIGIN = "origin" All(&["agent", "automatic"]);
    SEND_OUTCOME = "outcome" All(&[
        "accepted", "rejected", "throttled", "unreachable", "account_refused", "timeout", "uncertain",
        "blocked_opt_out",
    ]);
    ERROR_CODE = "error_code" Bounded("empty for none, Twilio's codes that casewire knows, `other` for the rest");
    DELIVERY_STATUS = "status" All(&["sent", "delivered", "undelivered", "failed"]);
    PROVIDER_OPERATION = "operation" All(&["send", "list"]);
    STATUS_CLASS = "status_class" All(&["2xx", "4xx", "5xx", "none"]);
    SETTLED_BY = "by" All(&["callback", "list", "resend"]);
    LOOK = "answer" All(&["read", "unreadable"]);
    SWEEPER = "sweeper" All(&["stream", "provider"]);
    LAST_SWEEPER = "sweeper" Bounded("`stream` and `provider`, each once it came to an end");
    METHOD = "http_request_method" All(&["GET", "HEAD", "POST", "PATCH", "_OTHER"]);
    ASKED_METHOD = "http_request_method" Bounded("`GET`, `HEAD`, `POST`, `PATCH`, or `_OTHER` for the rest");
    ROUTE = "http_route" Bounded("the API's and the page's paths with their variables' names, or `other`");
    STATUS_CODE = "http_response_status_code" Bounded("those the desk answers with");
    LOGIN_FAILURE = "reason" All(&["no_credentials", "invalid_token", "ended_session", "used_link"]);
}
