//! A 200 says that the event is on the disk. A kill cannot show that, since what a process wrote outlives it in the page
//! cache; so these stories trace the system calls and look for the fsync between the event's bytes and its answer.

mod calls;
mod proof;

mod embedded;
mod spilled;

use std::fs;
use std::path::PathBuf;

use casewire_testkit::process::Start;
use tempfile::TempDir;

use proof::Proof;

/// What matters here: what is read from a caller, written anywhere, and brought to the disk.
const CALLS: &str = "trace=read,recvfrom,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync";

/// Where strace writes what a program did.
pub(crate) struct Trace {
    folder: TempDir,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("trace")
    }

    /// The program, traced with all its threads. A page of SQLite fits the strings that are kept.
    pub(crate) fn of(&self, program: Start) -> Start {
        let file = self.file();
        // -I4: a polite end is for the program, and strace ends with it.
        let args = ["-f", "-qq", "-y", "-I4", "-s", "4200", "-e", CALLS, "-e", "signal=none", "-o"];
        let args = args.into_iter().map(Into::into).chain([file.into_os_string()]);
        program.under(casewire_testkit::strace().unwrap(), args)
    }

    /// What the program did, once it has ended; `files` are where it should have kept events.
    pub(crate) fn proof(&self, files: &[PathBuf]) -> Proof {
        let trace = String::from_utf8_lossy(&fs::read(self.file()).unwrap()).into_owned();
        Proof::new(calls::read(&trace), files)
    }
}
