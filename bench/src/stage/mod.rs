//! What measures play on: private servers, and the programs that are compared.

pub(crate) mod backlog;
pub(crate) mod books;
pub(crate) mod broker;
pub(crate) mod front;
pub(crate) mod home;
pub(crate) mod line;
pub(crate) mod programs;
pub(crate) mod twilio;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

/// How long the disk may take: some gigabytes at a slow one's pace.
const SETTLED: Duration = Duration::from_secs(300);

/// Waits until the disk has all that was written to it: what one measure left behind is not the next one's to wait for.
pub(crate) async fn settle() -> Result<()> {
    let synced = timeout(SETTLED, Command::new("sync").status()).await.context("`sync` does not end")?;
    ensure!(synced.context("`sync` cannot be run")?.success(), "`sync` failed");
    Ok(())
}
