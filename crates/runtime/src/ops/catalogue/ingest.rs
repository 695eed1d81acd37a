//! Of ingest.

use super::metrics;

metrics! { WEBHOOKS:
    WEBHOOK_REQUESTS = Counter "casewire_webhook_requests_total",
        "Webhooks by how they ended", [WEBHOOK_KIND, WEBHOOK_OUTCOME];
    WEBHOOK_SIGNATURE_KEYS = Counter "casewire_webhook_signature_keys_total",
        "Webhooks whose signature holds, by the key it was made with", [SIGNING_KEY];
    WEBHOOK_DURATION = TracedHistogram "casewire_webhook_request_duration_seconds",
        "Time from a webhook's head to its answer", [WEBHOOK_KIND, WEBHOOK_OUTCOME];
    PUBLISH_ACK_DURATION = TracedHistogram "casewire_publish_ack_duration_seconds",
        "Time the stream took to say that it has an event", [STREAM];
    PUBLISH_FAILURES = Counter "casewire_publish_failures_total",
        "Events the stream did not take", [STREAM, PUBLISH_FAILURE];
}

metrics! { SPILL:
    SPILL_KEPT = Counter "casewire_spill_kept_total", "Events the spill took in the stream's stead", [STREAM];
    SPILL_DRAINED = Counter "casewire_spill_drained_total",
        "Events that went from the spill to the stream", [STREAM];
    SPILL_PUT_OFF = Counter "casewire_spill_put_off_total",
        "Times an event of the spill was put off, because the stream refuses it or it cannot be read", [STREAM];
    SPILL_REFUSED = Counter "casewire_spill_refused_total",
        "Events that neither the stream nor the spill took: they were answered 503", [NOT_KEPT];
    SPILL_BREAKER_OPEN = Gauge "casewire_spill_breaker_open",
        "Whether a shard's events go straight to the spill (1) or to the stream (0)", [STREAM];
    SPILL_EVENTS = Gauge "casewire_spill_events", "Events in the spill";
    SPILL_EVENTS_PUT_OFF = Gauge "casewire_spill_events_put_off",
        "Of these, events that were put off, because the stream refused them or they cannot be read";
    SPILL_BYTES = Gauge "casewire_spill_bytes", "Bytes of the events in the spill";
    SPILL_OLDEST_AGE = Gauge "casewire_spill_oldest_age_seconds",
        "How long the oldest event has been in the spill, but for those that were put off";
    SPILL_TAKING = Gauge "casewire_spill_taking",
        "Whether the spill would take an event (1) or is absent, full, too old or broken (0)";
}
