//! Logs and traces of a process.

use casewire_runtime::config::Config;
use casewire_runtime::telemetry::{self, Guard, Identity, Output};

/// What this process is.
pub fn identity(role: &'static str) -> Identity {
    Identity {
        role,
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("CASEWIRE_REVISION").unwrap_or("unknown"),
    }
}

/// Starts logging for a role.
pub fn start(config: &Config, role: &'static str, output: Output) -> anyhow::Result<Guard> {
    let guard = telemetry::init(&config.telemetry, identity(role), output)?;
    for warning in config.warnings() {
        tracing::warn!(event = "risky_setting", "{warning}");
    }
    Ok(guard)
}
