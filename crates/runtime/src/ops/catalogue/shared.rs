//! Of what some roles have: critical tasks, the stream, the database.

use super::metrics;

metrics! { TASKS:
    TASK_LAST_BEAT = Gauge "casewire_task_last_beat_timestamp_seconds",
        "When a critical task last gave a sign of life, in seconds since 1970", [TASK];
}

metrics! { BUS:
    NATS_CONNECTED = Gauge "casewire_nats_connected",
        "Whether the stream can be reached (1) or not (0): NATS, or the file of an embedded one", [ROLE];
    NATS_RECONNECTS = Counter "casewire_nats_reconnects_total",
        "Times a connection to NATS was lost and made again", [ROLE];
}

metrics! { DATABASE:
    DB_OPERATION_DURATION = Histogram "db_client_operation_duration_seconds",
        "Time of a statement", [DB_SYSTEM, DB_OPERATION];
    DB_CONNECTION_COUNT = Gauge "db_client_connection_count",
        "Connections to the database, by whether they are in use", [DB_SYSTEM, CONNECTION_STATE];
    DB_CONNECTION_MAX = Gauge "db_client_connection_max",
        "Connections to the database that there may be", [DB_SYSTEM];
    DB_PENDING_REQUESTS = Gauge "db_client_connection_pending_requests",
        "Transactions that wait for a connection", [DB_SYSTEM];
    DB_CONNECTION_TIMEOUTS = Counter "db_client_connection_timeouts_total",
        "Transactions that did not get a connection in time", [DB_SYSTEM];
}
