//! The path of a delivery callback: what is written is read back, and nothing else is read.

#![no_main]

use casewire_twilio::webhook::{parse_status_path, status_path};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    if let Ok(target) = std::str::from_utf8(raw) {
        nothing_else_is_read(target);
    }
    if let Some((id, rest)) = raw.split_first_chunk()
        && let Some((attempt, line)) = rest.split_first_chunk()
        && let Ok(line) = std::str::from_utf8(line)
    {
        what_is_written_is_read(u128::from_be_bytes(*id), u32::from_be_bytes(*attempt), line);
    }
});

fn nothing_else_is_read(target: &str) {
    let Some((message, attempt)) = parse_status_path(target) else { return };
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let ours = format!("/status/{:032x}.{attempt}", message.0.as_u128());
    assert!(path.ends_with(&ours), "{message} {attempt} from {target:?}");
}

fn what_is_written_is_read(id: u128, attempt: u32, line: &str) {
    let message = format!("{id:032x}").parse().expect("32 hex digits are an id");
    let path = status_path(line, message, attempt);
    // A line's id is a word in a path; these would end the path.
    if !line.contains(['?', '#']) {
        assert_eq!(parse_status_path(&path), Some((message, attempt)), "{path:?}");
        assert_eq!(parse_status_path(&format!("/prefix{path}?a=/status/1")), Some((message, attempt)));
    }
}
