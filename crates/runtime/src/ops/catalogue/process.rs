//! Of every process, and of the folder of `up`.

use super::metrics;

metrics! { ALL:
    BUILD_INFO = Gauge "casewire_build_info", "What is running: always 1", [VERSION, REVISION, ROLE];
    READY = Gauge "casewire_ready", "Whether traffic should come here (1) or not (0)", [ROLE];
    PROCESS_START = Gauge "process_start_time_seconds", "When the process began, in seconds since 1970";
}

metrics! { FOLDER:
    BACKUP_LAST_SUCCESS = Gauge "casewire_backup_last_success_timestamp_seconds",
        "When the last `casewire backup` of the folder that came to its end was begun, in seconds since 1970; 0 before the first";
}
