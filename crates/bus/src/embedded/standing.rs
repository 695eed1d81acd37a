use std::time::Duration;

use crate::Backlog;

/// How an embedded stream stands, with what other streams cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its shards, all of them.
    pub shards: Vec<Backlog>,
    /// Events it holds that were put off at least once: somebody had them, and could do nothing with them then.
    pub put_off: u64,
    /// How long the oldest of the others is held; `None` when there is none. Told by the clock that stamped it, which
    /// nobody sets while the process runs.
    pub waiting: Option<Duration>,
}
