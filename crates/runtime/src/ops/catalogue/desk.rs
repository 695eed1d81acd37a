//! Of the desk.

use super::metrics;

metrics! { ALL:
    HTTP_DURATION = Histogram "http_server_request_duration_seconds",
        "Time from a request's head to its answer's; that of a live page is the time to its beginning",
        [ASKED_METHOD, ROUTE, STATUS_CODE];
    HTTP_ACTIVE = Gauge "http_server_active_requests", "Requests that are not answered yet", [METHOD];
    FIRST_REPLY = Histogram "casewire_case_first_reply_duration_seconds",
        "From a case's beginning to the first reply a person wrote";
    LIVE_CONNECTIONS = Gauge "casewire_desk_live_connections", "Live pages that are open";
    PUSH_DELAY = Histogram "casewire_desk_push_delay_seconds",
        "From what happened to a case to its being passed on to live pages";
    LOGIN_FAILURES = Counter "casewire_login_failures_total",
        "Requests of the API or the page that were refused for want of a valid token, session or link", [LOGIN_FAILURE];
}
