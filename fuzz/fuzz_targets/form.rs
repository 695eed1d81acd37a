//! The form parser against the URL standard's own (crate `url`), which repairs where ours refuses, and against a
//! plain statement of what is to be refused.

#![no_main]

use casewire_twilio::parameters::Parameters;
use libfuzzer_sys::fuzz_target;
use url::form_urlencoded;

/// As many as ingest takes by default.
const MAX: usize = 256;
/// Bytes of a name: few, so that inputs come to it.
const NAME_MAX: usize = 16;

fuzz_target!(|raw: &[u8]| {
    let fields = raw.split(|byte| *byte == b'&').filter(|field| !field.is_empty());
    let sound = fields.clone().count() <= MAX && fields.clone().all(is_sound);
    let parsed = Parameters::parse(raw, MAX);
    assert_eq!(parsed.is_ok(), sound, "{parsed:?}");
    let Ok(parsed) = parsed else { return };

    let standard: Vec<_> = form_urlencoded::parse(raw).collect();
    assert_eq!(parsed.len(), standard.len());
    assert!(parsed.iter().zip(&standard).all(|(ours, other)| ours.0 == other.0 && ours.1 == other.1));
    let short = standard.iter().all(|(name, _)| name.len() <= NAME_MAX);
    assert_eq!(parsed.check_names(NAME_MAX).is_ok(), short);
    for (name, _) in parsed.iter() {
        let first = standard.iter().find(|(other, _)| other == name).map(|(_, value)| &**value);
        assert_eq!(parsed.get(name), first);
    }

    assert_eq!(Parameters::parse(parsed.encode().as_bytes(), MAX).as_ref(), Ok(&parsed));
});

/// Every `%` has two hex digits, and name and value are each UTF-8.
fn is_sound(field: &[u8]) -> bool {
    field.splitn(2, |byte| *byte == b'=').all(|half| {
        let mut pieces = half.split(|byte| *byte == b'%');
        let mut bytes = pieces.next().unwrap_or_default().to_vec();
        for piece in pieces {
            let [high, low, rest @ ..] = piece else { return false };
            let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(high), digit(low)) else { return false };
            bytes.push(16 * high + low);
            bytes.extend(rest);
        }
        String::from_utf8(bytes).is_ok()
    })
}
