//! What measures play on: private servers, and the programs that are compared.

pub(crate) mod backlog;
pub(crate) mod books;
pub(crate) mod broker;
pub(crate) mod front;
pub(crate) mod home;
pub(crate) mod line;
pub(crate) mod programs;
pub(crate) mod twilio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Waits until the disk has all that was written to it: what one measure left behind is not the next one's to wait for.
pub(crate) async fn settle() -> Result<()> {
    let synced = Command::new("sync").status().await.context("`sync` cannot be run")?;
    ensure!(synced.success(), "`sync` failed");
    Ok(())
}
