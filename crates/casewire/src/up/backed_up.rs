//! When the folder was last backed up, for an alert: `casewire backup` is another process, which ends.

use std::time::Duration;

use casewire_runtime::ops::catalogue;
use prometheus_client::metrics::gauge::Gauge;

use crate::data_dir::DataDir;
use crate::process::Process;

/// How often it is looked at: as often as somebody scrapes.
const EVERY: Duration = Duration::from_secs(15);

/// Shows it until the process is asked to end.
pub fn show(process: &Process, data: &DataDir) {
    let last = Gauge::default();
    process.metrics.register(&catalogue::BACKUP_LAST_SUCCESS, last.clone());
    let (stop, data) = (process.shutdown.token(), data.clone());
    process.shutdown.spawn(async move {
        stop.run_until_cancelled(follow(data, last)).await;
    });
}

/// Of what cannot be read it is told once, not every time.
async fn follow(data: DataDir, last: Gauge) {
    let mut told = false;
    loop {
        let reading = data.clone();
        match tokio::task::spawn_blocking(move || reading.last_backup()).await {
            Ok(Ok(at)) => {
                last.set(at.map_or(0, |at| at.timestamp()));
                told = false;
            }
            Ok(Err(why)) if !told => {
                tracing::warn!(event = "backup_unread", "when the last backup was is not known: {why:#}");
                told = true;
            }
            Ok(Err(_)) | Err(_) => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}
