//! `[data]`: what is kept on local disk.

use std::path::PathBuf;

use super::section::section;

section! {
    /// What is kept on local disk.
    pub struct Data {
        /// The folder of `up`: database, stream, master key and lock. In the working directory, so that a first
        /// run leaves nothing elsewhere.
        pub dir: PathBuf = PathBuf::from("casewire-data"),
    }
}
