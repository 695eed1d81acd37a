//! Copies of the stream for `casewire backup`: its file is this process's alone, so that the command asks for one.

use std::sync::Arc;
use std::time::Duration;

use casewire_bus::EmbeddedStream;
use casewire_store::Store;

use crate::data_dir::DataDir;

/// How often requests are looked for: whoever made one waits for little else.
const EVERY: Duration = Duration::from_millis(500);

/// Makes the copies that are asked for, for ever. One that is cut off has no outcome, and its command sees that this
/// process is gone.
pub async fn run(store: Store, stream: Arc<EmbeddedStream>, data: DataDir) {
    if let Err(error) = forget_copies(&data) {
        tracing::warn!(event = "copies_left", %error, "copies that nobody fetched cannot be removed");
    }
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = round(&store, &stream, &data).await {
            tracing::warn!(event = "backup_unasked", %error, "requests for a copy of the stream cannot be read");
        }
    }
}

async fn round(store: &Store, stream: &EmbeddedStream, data: &DataDir) -> anyhow::Result<()> {
    let Some(id) = store.open_stream_copy().await? else { return Ok(()) };
    if !store.begin_request(id).await? {
        return Ok(());
    }
    let outcome = match stream.copy_to(&data.stream_copy(id)).await {
        Ok(()) => casewire_store::COPIED.to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::info!(event = "stream_copied", outcome, "the stream was copied for a backup");
    Ok(store.finish_request(id, outcome).await?)
}

/// Removes copies whose command ended before it fetched them.
fn forget_copies(data: &DataDir) -> std::io::Result<()> {
    for entry in std::fs::read_dir(data.path())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "copy") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
