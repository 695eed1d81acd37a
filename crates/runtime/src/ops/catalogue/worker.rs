//! Of workers. What they read of the stream and the database, every worker shows: take the greatest, never the sum.

use super::metrics;

metrics! { STREAM:
    MESSAGES_PROCESSED = Counter "casewire_messages_processed_total",
        "Events handled, by what became of them", [CONSUMER, DISPOSITION];
    PROCESS_DURATION = TracedHistogram "casewire_message_process_duration_seconds",
        "How long an event was in hand: the time of its batch", [CONSUMER];
    REDELIVERIES = Counter "casewire_message_redeliveries_total",
        "Events that had been delivered before", [CONSUMER];
    ACK_FAILURES = Counter "casewire_ack_failures_total", "Acknowledgements that were lost", [CONSUMER];
    MESSAGES_PARKED = Counter "casewire_messages_parked_total", "Events that became dead letters", [PARKED];
    PARKED_MESSAGES = Gauge "casewire_parked_messages", "Dead letters";
    PARKED_OLDEST_AGE = Gauge "casewire_parked_oldest_age_seconds", "Age of the oldest dead letter";
    STREAM_MESSAGES = Gauge "casewire_stream_messages", "Events a stream holds", [STREAM];
    STREAM_BYTES = Gauge "casewire_stream_bytes", "Bytes a stream holds", [STREAM];
    STREAM_LIMIT = Gauge "casewire_stream_limit_bytes", "Bytes beyond which a stream refuses", [STREAM];
    STREAM_PENDING = Gauge "casewire_stream_pending_messages",
        "Events never delivered yet", [STREAM, CONSUMER];
    STREAM_ACK_PENDING = Gauge "casewire_stream_ack_pending_messages",
        "Events delivered and not acknowledged", [STREAM, CONSUMER];
    STREAM_REDELIVERED = Gauge "casewire_stream_redelivered_messages",
        "Events delivered more than once and not acknowledged", [STREAM, CONSUMER];
    STREAM_OLDEST_AGE = Gauge "casewire_stream_oldest_pending_age_seconds",
        "Age of the oldest event that is not acknowledged", [STREAM, CONSUMER];
}

metrics! { CASES:
    WEBHOOK_TO_CASE = TracedHistogram "casewire_webhook_to_case_duration_seconds",
        "From a text's arrival to its place in a case";
    CASE_EVENTS = Counter "casewire_case_events_total", "What texts did to cases", [CASE_EVENT];
    OPEN_CASES = Gauge "casewire_open_cases", "Cases that are not closed", [CASE_STATUS];
    OLDEST_UNANSWERED = Gauge "casewire_case_oldest_unanswered_age_seconds",
        "How long the text has waited that waits longest for a person's answer in an open case";
    OPT_EVENTS = Counter "casewire_opt_events_total", "STOP, START and HELP words received", [OPT_EVENT];
    OPTED_OUT = Gauge "casewire_opted_out_contacts", "Contacts who have opted out, counted for each line";
}

metrics! { OUTBOUND:
    OUTBOX_MESSAGES = Gauge "casewire_outbox_messages",
        "Messages in the outbox; held are those of the uncertain that wait for a person", [OUTBOX_STATE];
    OUTBOX_OLDEST_AGE = Gauge "casewire_outbox_oldest_age_seconds",
        "Age of the oldest message in the outbox", [OUTBOX_STATE];
    SMS_ATTEMPTS = Counter "casewire_sms_send_attempts_total",
        "Attempts to send a text, by outcome", [SEND_OUTCOME, ERROR_CODE];
    SMS_ACCEPT_DURATION = Histogram "casewire_sms_accept_duration_seconds",
        "From a text's place in the outbox to the provider's word that it has it", [ORIGIN];
    SMS_STATUS = Counter "casewire_sms_status_total",
        "Delivery statuses reported", [DELIVERY_STATUS, ERROR_CODE];
    SMS_DELIVERY_DURATION = Histogram "casewire_sms_delivery_duration_seconds",
        "From a text's place in the outbox to the report that it was delivered";
    PROVIDER_DURATION = TracedHistogram "casewire_provider_request_duration_seconds",
        "Time of a request to the provider", [PROVIDER_OPERATION, STATUS_CLASS];
    PROVIDER_THROTTLED = Counter "casewire_provider_throttled_total",
        "Requests the provider refused for their number";
    PROVIDER_CIRCUIT_OPEN = Gauge "casewire_provider_circuit_open",
        "Accounts for which nothing is sent, since the provider refuses them";
    DUPLICATE_SENDS = Counter "casewire_duplicate_send_detected_total", "Messages the provider holds twice";
    UNCERTAIN_SETTLED = Counter "casewire_uncertain_settled_total",
        "Uncertain texts of which is known now whether the provider has them, by how it was learnt", [SETTLED_BY];
    UNCERTAIN_LOOKS = Counter "casewire_uncertain_looks_total",
        "Looks at the provider's list for uncertain texts", [LOOK];
    UNCERTAIN_UNSETTLED = Counter "casewire_uncertain_unsettled_total",
        "Uncertain texts that the provider's list did not settle: a person must decide";
}

metrics! { SWEEPERS:
    SWEEPER_RESCUED = Counter "casewire_sweeper_rescued_total",
        "Events and texts that were lost on their way and found by a sweeper", [SWEEPER];
    SWEEPER_FAILURES = Counter "casewire_sweeper_failures_total",
        "Sweeps, or lines of one, that did not come to their end", [SWEEPER];
    SWEEPER_LAST_SUCCESS = Gauge "casewire_sweeper_last_success_timestamp_seconds",
        "When this worker last ended a sweep, in seconds since 1970: take the greatest of all workers", [LAST_SWEEPER];
    SWEEPER_DURATION = Histogram "casewire_sweeper_duration_seconds",
        "How long a sweep took: of one shard, or of all lines", [SWEEPER];
    SWEEPER_PURGED = Counter "casewire_sweeper_purged_total",
        "Events that were verified, and erased from the stream";
    SWEEPER_CORRECTED = Counter "casewire_sweeper_statuses_corrected_total",
        "Delivery statuses that were behind the provider's list";
}
