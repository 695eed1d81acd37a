//! Which trace something belongs to. Nothing is decided by it; it travels with events and texts, so that what one of
//! them led to is found in logs and traces.

use std::fmt;

/// A W3C `traceparent`: version, trace, span and flags, in hex. It has room for nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Wraps one; `None` for what is none.
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let mut parts = text.split('-');
        let lengths = [2, 32, 16, 2];
        let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        let fits = lengths
            .into_iter()
            .all(|length| parts.next().is_some_and(|part| part.len() == length && is_hex(part)));
        (fits && parts.next().is_none()).then_some(Self(text))
    }

    /// One of this span of this trace, by W3C's flags.
    pub fn new(trace: [u8; 16], span: [u8; 8], flags: u8) -> Self {
        let mut text = String::with_capacity(55);
        text.push_str("00");
        for part in [&trace[..], &span, &[flags]] {
            text.push('-');
            text.extend(part.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit));
        }
        Self(text)
    }

    /// The trace's id.
    pub fn trace_id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }

    /// Whether the trace is sent to where somebody can look it up.
    pub fn is_sampled(&self) -> bool {
        // The last bit of the flags, and so of their last digit.
        self.0.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f'])
    }

    /// As it stands in headers and in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A number below 16 in hex. The formatting of whole numbers is slower, and each webhook has a trace.
fn digit(number: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(number & 15)])
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_parent_is_hex_of_four_lengths_and_nothing_else() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceParent::parse(good).as_ref().map(TraceParent::as_str), Some(good));
        let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
        let made = TraceParent::new(trace, 0xb7ad_6b71_6920_3331_u64.to_be_bytes(), 1);
        assert_eq!(made.as_str(), good);
        assert_eq!(made.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(made.is_sampled() && TraceParent::new(trace, [1; 8], 0xff).is_sampled());
        assert!(!TraceParent::new(trace, [1; 8], 0xfe).is_sampled());
        for bad in ["", "00", "my heater is broken", &good[1..], &format!("{good}-00"), &good.to_uppercase()]
        {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
