//! Events from the stream: any bytes are an event or an error, and an event survives being written again.

#![no_main]

use casewire_proto::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    let Ok(event) = decode(raw) else { return };
    let bytes = encode(&event);
    assert_eq!(decode(&bytes).as_ref(), Ok(&event));
    assert_eq!(encode(&event), bytes);
    // What the worker would do with it next.
    let _ = casewire_twilio::webhook::inbound_text(&event);
    let _ = casewire_twilio::webhook::status_report(&event);
});
