//! The directory as it was last seen, kept beside the spill: an ingest that starts while the stream is away knows from
//! it who may sign, and takes texts.
//!
//! What it holds is what hangs at the stream, tokens sealed. It gives way to the stream's own as soon as that comes.

use std::sync::Arc;

use casewire_domain::directory::Directory;
use tokio::sync::watch;
use tracing::{info, warn};

use super::folder::Folder;

const FILE: &str = "directory.json";

type Shown = Option<Arc<Directory>>;

/// Hands the stream's directory on, and one from the disk until that comes.
pub(crate) struct Memory {
    board: watch::Receiver<Shown>,
    shown: watch::Sender<Shown>,
}

impl Memory {
    /// Over what the stream shows.
    pub(super) fn over(board: watch::Receiver<Shown>, folder: &Folder) -> Self {
        let newest = board.borrow().clone().or_else(|| read(folder).map(Arc::new));
        Self { board, shown: watch::Sender::new(newest) }
    }

    /// The directory as it is known now and after every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Shown> {
        self.shown.subscribe()
    }

    /// Follows the stream's directory until that ends.
    pub(crate) async fn follow(&self, folder: &Folder) {
        let mut board = self.board.clone();
        board.mark_changed();
        while board.changed().await.is_ok() {
            let Some(newest) = board.borrow_and_update().clone() else { continue };
            self.shown.send_replace(Some(Arc::clone(&newest)));
            if let Err(error) = write(folder, &newest) {
                warn!(event = "directory_not_kept", %error, "the directory could not be kept beside the spill");
            }
        }
    }
}

/// What was kept; what cannot be read is as good as nothing, since the stream has it too.
fn read(folder: &Folder) -> Option<Directory> {
    let bytes = std::fs::read(folder.file(FILE)).ok()?;
    let kept: Directory = serde_json::from_slice(&bytes).ok()?;
    info!(
        event = "directory_kept",
        version = kept.version,
        "the directory of the last run holds until the stream's comes"
    );
    Some(kept)
}

/// A few kilobytes at most, and seldom: not worth a thread of its own.
fn write(folder: &Folder, directory: &Directory) -> std::io::Result<()> {
    folder.write(FILE, &serde_json::to_vec(directory)?)
}
