//! Room set aside on the spill's disk. Taking an event out of the file is a write too, so that a disk filled to the last
//! byte could not even be emptied. It is given up when that comes; until there is room again nothing new is stored, and
//! what was set aside serves the way out.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use casewire_runtime::config::Size;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::folder::Folder;

const FILE: &str = "reserve";
/// Of a small disk, this part: as much as it may lose for what seldom comes.
const SHARE: u64 = 8;

/// The room, or the lack of it. Cheap to clone; every clone is the same.
#[derive(Clone)]
pub(super) struct Reserve {
    folder: PathBuf,
    file: PathBuf,
    /// Bytes of it, unless the disk is small.
    most: u64,
    given_up: Arc<AtomicBool>,
    making: Arc<Mutex<()>>,
}

impl Reserve {
    /// Of this folder and at most this size; made by the first [`Reserve::renew`], unless an earlier run left one.
    pub(super) fn of(folder: &Folder, most: Size) -> Self {
        let this = Self {
            folder: folder.file(""),
            file: folder.file(FILE),
            most: most.bytes(),
            given_up: Arc::default(),
            making: Arc::default(),
        };
        this.given_up.store(!this.is_whole(), Ordering::Relaxed);
        this
    }

    /// Whether the room is there, all of it: a run that was killed may have left a part.
    fn is_whole(&self) -> bool {
        fs::metadata(&self.file).is_ok_and(|file| file.len() == self.size())
    }

    /// Whether it is given up: nothing new may be stored.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Gives it up, if the disk is full.
    pub(super) fn give_up(&self) {
        if self.is_given_up() || self.room().is_ok_and(|room| room >= self.size() / 4) {
            return;
        }
        self.given_up.store(true, Ordering::Relaxed);
        error!(
            event = "spill_disk_full",
            "the spill's disk is full: it takes nothing more until there is room"
        );
        if let Err(error) = fs::remove_file(&self.file) {
            warn!(event = "spill_reserve_kept", %error, "the spill's reserve cannot be given up");
        }
    }

    /// Makes it again once there is room for it and for events besides. An empty spill takes events even without:
    /// what they need was there before.
    pub(super) async fn renew(&self, empty: bool) {
        if !self.is_given_up() {
            return;
        }
        // Who waited for it before may have given up on a slow disk.
        let Ok(making) = Arc::clone(&self.making).try_lock_owned() else { return };
        let this = self.clone();
        let made = spawn_blocking(move || {
            let _making = making;
            this.make()
        });
        let made = made.await.unwrap_or_else(|error| Err(error.into()));
        if made.as_ref().is_ok_and(|made| *made) || empty {
            self.given_up.store(false, Ordering::Relaxed);
            info!(event = "spill_reserve", "the spill takes events");
        }
        if let Err(error) = made {
            warn!(event = "spill_no_reserve", %error, "no room can be set aside for the spill");
        }
    }

    /// Whether there was room.
    fn make(&self) -> io::Result<bool> {
        if self.is_whole() {
            return Ok(true);
        }
        let size = self.size();
        // A part of it is room too.
        let _ = fs::remove_file(&self.file);
        if self.room()? < size + size / 4 {
            return Ok(false);
        }
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&self.file)?;
        let piece = [0; 64 << 10];
        let mut left = size;
        while left > 0 {
            // Written, since a file that is only made longer takes no room.
            let part = usize::try_from(left).unwrap_or(piece.len()).min(piece.len());
            file.write_all(&piece[..part])?;
            left -= part as u64;
        }
        file.sync_all().map(|()| true)
    }

    fn size(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.folder).map(|disk| disk.f_blocks * disk.f_frsize);
        disk.map_or(self.most, |disk| self.most.min(disk / SHARE))
    }

    /// Bytes that are free for us.
    fn room(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        Ok(disk.f_bavail * disk.f_frsize)
    }
}
