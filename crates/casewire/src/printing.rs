//! What a person reads in the terminal.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;

/// Prints a line on standard output, as [`line`] does.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::printing::line(format_args!($($words)*))
    };
}

pub(crate) use say;

/// Prints a line on standard output. A reader may go when they have seen enough (`| head`): that is no failure, and
/// the rest is printed for nobody.
pub fn line(words: Arguments<'_>) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{words}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output cannot be written to")
        }
        _ => Ok(()),
    }
}

/// Prints a line on standard error; where nobody reads that either, there is nobody left to tell.
pub fn complain(words: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{words}");
}
