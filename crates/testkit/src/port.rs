//! Ports for servers that must come back on the same one.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// Below the range from which systems give ports to outgoing connections (32768 on Linux, 49152 elsewhere): while a
/// server is down between a kill and a restart, no connection of a busy test can take its port.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A loopback TCP port that nobody listens on, not handed out twice by this process.
pub fn free() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes side by side start at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let candidate = u16::try_from(FIRST + start.wrapping_add(step) % COUNT)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)).is_ok() {
            return Ok(candidate);
        }
    }
    bail!("no free port between {FIRST} and {}", FIRST + COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_and_handed_out_once() {
        let (one, two) = (free().unwrap(), free().unwrap());
        assert_ne!(one, two);
        TcpListener::bind((Ipv4Addr::LOCALHOST, one)).unwrap();
    }

    #[test]
    fn a_busy_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free().unwrap())).unwrap();
        assert_ne!(free().unwrap(), taken.local_addr().unwrap().port());
    }
}
