//! Of every process.

use super::metrics;

metrics! { ALL:
    BUILD_INFO = Gauge "casewire_build_info", "What is running: always 1", [VERSION, REVISION, ROLE];
    READY = Gauge "casewire_ready", "Whether traffic should come here (1) or not (0)", [ROLE];
    PROCESS_START = Gauge "process_start_time_seconds", "When the process began, in seconds since 1970";
}
