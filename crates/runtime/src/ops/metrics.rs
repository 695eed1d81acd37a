//! The registry that all parts of a process share.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

/// All metrics of the process. Cheap to clone; every clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Registries>>);

#[derive(Debug)]
struct Registries {
    ours: Registry,
    conventional: Registry,
}

impl Default for Registries {
    fn default() -> Self {
        Self { ours: Registry::with_prefix("casewire"), conventional: Registry::default() }
    }
}

impl Metrics {
    /// Registers metrics of ours: `casewire_` is put before their names.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.lock().ours)
    }

    /// Registers metrics whose names others chose, as OpenTelemetry's conventions do: nothing is put before them.
    pub fn register_conventional<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.lock().conventional)
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// When a metric cannot be written, which would be a mistake in its code.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let registries = self.lock();
        let mut text = String::new();
        encode_registry(&mut text, &registries.ours)?;
        encode_registry(&mut text, &registries.conventional)?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registries> {
        // A panic while registering leaves nothing half done that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
