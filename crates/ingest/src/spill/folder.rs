//! The folder of the spill.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::SpillError;

/// A folder that is there, for its owner alone.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder and an empty file in it where they are missing, so that neither vanishes with the power.
    pub(super) fn prepare(path: &Path, file: &str) -> Result<Self, SpillError> {
        let this = Self(path.to_owned());
        this.make(file).map_err(|source| SpillError::Folder { folder: this.name(), source })?;
        Ok(this)
    }

    fn make(&self, file: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        // What people wrote is for the owner alone; what SQLite puts beside a file has that file's rights.
        let made =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.file(file))?;
        made.sync_all()?;
        sync(&self.0)?;
        // The folder's own name is in the folder above; where that may not be opened, it was not ours to make.
        let _ = sync(&self.0.join(".."));
        Ok(())
    }

    /// What kind of disk it is on, if that goes with the container or the machine; known on Linux.
    #[cfg(target_os = "linux")]
    pub(super) fn fleeting(&self) -> Option<&'static str> {
        // linux/magic.h; the type of the number differs between machines.
        const TMPFS: i128 = 0x0102_1994;
        const OVERLAY: i128 = 0x794c_7630;
        match rustix::fs::statfs(&self.0).ok().map(|disk| i128::from(disk.f_type))? {
            TMPFS => Some("tmpfs"),
            OVERLAY => Some("overlay"),
            _ => None,
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn fleeting(&self) -> Option<&'static str> {
        None
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn name(&self) -> String {
        self.0.display().to_string()
    }

    /// Writes a file for the owner alone, whole or not at all.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let (new, path) = (self.file(&format!("{name}.new")), self.file(name));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        sync(&self.0)
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_memory_is_fleeting() {
        // On every Linux, also in a container, the one is in memory and the other of neither kind.
        let kind = |path: &str| Folder(path.into()).fleeting();
        assert_eq!((kind("/dev"), kind("/proc")), (Some("tmpfs"), None));
    }
}
