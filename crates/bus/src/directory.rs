//! The board on which the directory of accounts and lines hangs for ingest to read.

use std::sync::Arc;

use async_trait::async_trait;
use casewire_domain::directory::Directory;
use tokio::sync::watch;

/// Where workers put the newest directory and ingest finds it.
#[async_trait]
pub trait DirectoryBoard: Send + Sync {
    /// Puts a directory up. One of the same version is left as it hangs, so that every worker may repeat it.
    async fn publish(&self, directory: &Directory) -> Result<(), BoardError>;

    /// The directory as it stands, now and after every change; `None` until the first is seen. What was seen once
    /// stays, whatever becomes of the board, and never gives way to an older version.
    fn watch(&self) -> watch::Receiver<Option<Arc<Directory>>>;
}

/// The directory was not put up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// No connection, or no answer. Try again.
    #[error("the directory's board cannot be reached")]
    Unavailable,
    /// The board does not exist. [`Stream::prepare`](crate::Stream::prepare), then try again.
    #[error("the directory's board does not exist")]
    Missing,
    /// A newer one hangs there. Final: read the database again.
    #[error("directory version {there} is already published, version {ours} is older")]
    Superseded {
        /// The version that was to be published.
        ours: i64,
        /// The version on the board.
        there: i64,
    },
    /// The board refused it: too large, say. A person must act.
    #[error("the board refused the directory: {0}")]
    Rejected(String),
}

/// A board within one process.
#[derive(Debug, Default)]
pub struct LocalDirectory(Shown);

#[async_trait]
impl DirectoryBoard for LocalDirectory {
    async fn publish(&self, directory: &Directory) -> Result<(), BoardError> {
        match self.0.show(directory.clone()) {
            Some(there) if there > directory.version => {
                Err(BoardError::Superseded { ours: directory.version, there })
            }
            _ => Ok(()),
        }
    }

    fn watch(&self) -> watch::Receiver<Option<Arc<Directory>>> {
        self.0.0.subscribe()
    }
}

/// The newest directory seen, for any number of onlookers.
#[derive(Clone, Debug)]
pub(crate) struct Shown(pub(crate) watch::Sender<Option<Arc<Directory>>>);

impl Default for Shown {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Shown {
    /// Shows a directory if it is newer than the one shown, whose version comes back if there was one.
    pub(crate) fn show(&self, directory: Directory) -> Option<i64> {
        let mut before = None;
        self.0.send_if_modified(|shown| {
            before = shown.as_ref().map(|shown| shown.version);
            let newer = before.is_none_or(|before| before < directory.version);
            if newer {
                *shown = Some(Arc::new(directory));
            }
            newer
        });
        before
    }
}
