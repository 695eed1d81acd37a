//! What strace wrote, read back: one call each, and when it began and ended in the order of the file.

use std::collections::HashMap;

/// A system call that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The line in which it began, and the one in which it ended: what comes later in the file happened later.
    pub(super) began: usize,
    pub(super) ended: usize,
    pub(super) name: String,
    /// What its descriptor is: a path, or `socket:[inode]`.
    pub(super) on: String,
    /// Its arguments after that, as strace writes them.
    pub(super) arguments: String,
    pub(super) result: i64,
}

/// Reads a trace of `strace -f -y -o`: `pid name(fd<path>, "...", ...) = result`, where a call during which another
/// thread was heard is in two pieces, `<unfinished ...>` and `<... name resumed>`.
pub(super) fn read(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((pid, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(first) = text.strip_suffix("<unfinished ...>") {
            begun.insert(pid, (at, first));
        } else if let Some((_, rest)) =
            text.strip_prefix("<... ").and_then(|text| text.split_once(" resumed>"))
        {
            let piece = begun.remove(pid);
            calls.extend(piece.and_then(|(began, first)| call(began, at, &format!("{first}{rest}"))));
        } else {
            calls.extend(call(at, at, text));
        }
    }
    calls
}

fn call(began: usize, ended: usize, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (rest, result) = rest.rsplit_once(" = ")?;
    // The descriptor's number before `<` may be used again for something else; what stands inside may not.
    let (_, rest) = rest.split_once('<')?;
    let (on, arguments) = rest.split_once('>')?;
    let result = result.split_whitespace().next()?.parse().ok()?;
    Some(Call {
        began,
        ended,
        name: name.to_owned(),
        on: on.to_owned(),
        arguments: arguments.to_owned(),
        result,
    })
}

mod tests {
    use super::*;

    #[test]
    fn calls_in_one_piece_and_in_two_are_read() {
        let trace = r#"17 recvfrom(9<socket:[4]>, "POST / HTTP/1.1\r\n", 4096, 0, NULL, NULL) = 17
18 fdatasync(7</data/stream.db-wal> <unfinished ...>
17 read(9<socket:[4]>,  <unfinished ...>
18 <... fdatasync resumed>)          = 0
17 <... read resumed>"a > b, (c) = d", 100) = 14
17 read(9<socket:[4]>, 0x7f, 100) = -1 EAGAIN (Resource temporarily unavailable)
19 +++ exited with 0 +++
"#;
        let calls = read(trace);
        let seen: Vec<_> =
            calls.iter().map(|call| (&*call.name, &*call.on, call.began, call.ended, call.result)).collect();
        assert_eq!(
            seen,
            [
                ("recvfrom", "socket:[4]", 0, 0, 17),
                ("fdatasync", "/data/stream.db-wal", 1, 3, 0),
                ("read", "socket:[4]", 2, 4, 14),
                ("read", "socket:[4]", 5, 5, -1),
            ]
        );
        assert!(calls[2].arguments.contains("a > b, (c) = d"));
    }
}
