//! Parameters as Twilio sends them, in `application/x-www-form-urlencoded`: all of them, in order, repeated
//! names included, because the signature is over every one.

use std::fmt;

/// Names and values in the order they were sent. `Debug` tells only how many there are.
///
/// All text lies decoded in one buffer and each pair is two ends in it, so that reading a request takes two
/// allocations however many parameters it has.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    text: String,
    ends: Vec<Ends>,
}

/// Room for as many pairs as a text without media has.
const USUAL: usize = 24;

/// Where a pair's name and value end; the name begins where the pair before ended.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    name: usize,
    value: usize,
}

/// Why parameters could not be read. Final: the same bytes never become readable, so the caller answers 400.
/// What was sent is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More pairs than allowed.
    #[error("more than {max} parameters")]
    TooMany {
        /// How many are allowed.
        max: usize,
    },
    /// A name longer than allowed.
    #[error("a parameter's name has more than {max} bytes")]
    LongName {
        /// How many bytes are allowed.
        max: usize,
    },
    /// A `%` without two hex digits.
    #[error("a percent sign is not followed by two hex digits")]
    Escape,
    /// A name or value is not UTF-8. Replacing the bytes would change what was signed.
    #[error("a parameter is not valid UTF-8")]
    Utf8,
    /// A body of type JSON that is no JSON object.
    #[error("the body is not a JSON object")]
    Json,
    /// A GET request with a body, which nothing signs.
    #[error("a GET request carries no body")]
    BodyOnGet,
}

impl Parameters {
    /// Reads a form body or a query string of at most `max` pairs.
    ///
    /// `+` is a space, `%xx` a byte, `name` alone has an empty value; empty pieces (`a=1&&b=2`) are skipped,
    /// as the URL standard has it. Invalid escapes and invalid UTF-8 are refused, never repaired.
    pub fn parse(raw: &[u8], max: usize) -> Result<Self, Malformed> {
        let mut bytes = Vec::with_capacity(raw.len());
        let mut ends = Vec::with_capacity(USUAL);
        let mut rest = raw;
        while !rest.is_empty() {
            if let Some(further) = rest.strip_prefix(b"&") {
                rest = further;
                continue;
            }
            if ends.len() == max {
                return Err(Malformed::TooMany { max });
            }
            rest = decode(rest, |byte| matches!(byte, b'=' | b'&'), &mut bytes)?;
            let name = bytes.len();
            if let Some(value) = rest.strip_prefix(b"=") {
                rest = decode(value, |byte| byte == b'&', &mut bytes)?;
            }
            ends.push(Ends { name, value: bytes.len() });
        }
        let text = String::from_utf8(bytes).map_err(|_| Malformed::Utf8)?;
        // The whole may be UTF-8 though a character lies across two parts.
        let whole = |end: usize| text.is_char_boundary(end);
        if !ends.iter().all(|pair| whole(pair.name) && whole(pair.value)) {
            return Err(Malformed::Utf8);
        }
        Ok(Self { text, ends })
    }

    /// Reads the top-level texts, numbers and booleans of a JSON object as parameters; what is nested or null
    /// is no parameter. (A JSON body is signed by its hash, so nothing of the signature depends on this.)
    pub fn parse_json(raw: &[u8], max: usize) -> Result<Self, Malformed> {
        use serde_json::Value;
        let object: serde_json::Map<String, Value> =
            serde_json::from_slice(raw).map_err(|_| Malformed::Json)?;
        if object.len() > max {
            return Err(Malformed::TooMany { max });
        }
        let mut parameters = Self::default();
        for (name, value) in &object {
            match value {
                Value::String(text) => parameters.push(name, text),
                Value::Number(_) | Value::Bool(_) => parameters.push(name, &value.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => {}
            }
        }
        Ok(parameters)
    }

    /// Refuses names of more than `max` bytes, decoded. For who takes requests: reading has no such bound, since what was
    /// taken once must stay readable.
    ///
    /// # Errors
    /// [`Malformed::LongName`].
    pub fn check_names(&self, max: usize) -> Result<(), Malformed> {
        if self.iter().all(|(name, _)| name.len() <= max) { Ok(()) } else { Err(Malformed::LongName { max }) }
    }

    /// Appends a pair.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name = self.text.len();
        self.text.push_str(value);
        self.ends.push(Ends { name, value: self.text.len() });
    }

    /// The first value of this name (case matters).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    /// The first value of this name, when it is not empty: Twilio sends what it does not know as empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// All pairs in the order they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |pair| {
            let both = (&self.text[start..pair.name], &self.text[pair.name..pair.value]);
            start = pair.value;
            both
        })
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The parameters as a form body or a query string, which [`Parameters::parse`] reads back.
    pub fn encode(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.iter()).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut parameters = Self::default();
        for (name, value) in pairs {
            parameters.push(name.as_ref(), value.as_ref());
        }
        parameters
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} parameters]", self.len())
    }
}

/// Appends a decoded name or value, up to the byte that ends it; what is left begins with that. Runs without escapes are
/// copied whole.
fn decode<'a>(
    mut rest: &'a [u8],
    is_end: impl Fn(u8) -> bool,
    into: &mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    loop {
        let plain = |byte: &u8| !matches!(byte, b'+' | b'%') && !is_end(*byte);
        let run = rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len());
        let (copied, special) = rest.split_at(run);
        into.extend_from_slice(copied);
        rest = match special {
            [b'+', further @ ..] => {
                into.push(b' ');
                further
            }
            [b'%', high, low, further @ ..] => {
                into.push(hex(*high)? << 4 | hex(*low)?);
                further
            }
            [b'%', ..] => return Err(Malformed::Escape),
            ended => return Ok(ended),
        };
    }
}

fn hex(digit: u8) -> Result<u8, Malformed> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Malformed::Escape),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Pairs = Vec<(String, String)>;

    fn pairs(parameters: &Parameters) -> Pairs {
        parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[track_caller]
    fn check(raw: &str, expected: &[(&str, &str)]) {
        let parsed = Parameters::parse(raw.as_bytes(), 256).map(|p| pairs(&p));
        let expected: Pairs = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        assert_eq!(parsed, Ok(expected), "{raw}");
    }

    #[test]
    fn every_body_a_person_is_likely_to_send_arrives_whole() {
        check("Body=R%26D", &[("Body", "R&D")]);
        check("Body=a%3Db", &[("Body", "a=b")]);
        check("Body=a=b", &[("Body", "a=b")]);
        check("Body=50%25+%2B+more", &[("Body", "50% + more")]);
        check("Body=%F0%9F%94%A5%20hot", &[("Body", "🔥 hot")]);
        check("Body=%D7%A9%D7%9C%D7%95%D7%9D", &[("Body", "שלום")]);
        check("Body=&NumMedia=1", &[("Body", ""), ("NumMedia", "1")]);
        let long = "ü".repeat(1600);
        check(&format!("Body={}", "%C3%BC".repeat(1600)), &[("Body", &long)]);
    }

    #[test]
    fn order_and_repeated_names_are_kept() {
        check("b=2&a=1&b=1&b=2", &[("b", "2"), ("a", "1"), ("b", "1"), ("b", "2")]);
        check("name&&=x&", &[("name", ""), ("", "x")]);
    }

    #[test]
    fn what_is_not_utf8_or_badly_escaped_is_refused() {
        for (raw, why) in [
            (&b"Body=%FF"[..], Malformed::Utf8),
            (b"Body=\xC3", Malformed::Utf8),
            // One character, split over a name and its value: each half alone is invalid.
            (b"%C3=%BC", Malformed::Utf8),
            (b"Body=100%", Malformed::Escape),
            (b"Body=%4", Malformed::Escape),
            (b"Body=%zz", Malformed::Escape),
            (b"a&b&c&d", Malformed::TooMany { max: 3 }),
        ] {
            assert_eq!(Parameters::parse(raw, 3), Err(why), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn a_name_may_be_so_long_once_decoded_and_a_value_longer() -> Result<(), Malformed> {
        let checked = |raw: &str| Parameters::parse(raw.as_bytes(), 9)?.check_names(4);
        for fits in ["", "Body=longer", "%42%6F%64%79=x", "=x", "%C3%BC%C3%BC=x"] {
            checked(fits)?;
        }
        for long in ["Body1=x", "a=b&Bodyy", "%C3%BC%C3%BCx="] {
            assert_eq!(checked(long), Err(Malformed::LongName { max: 4 }), "{long}");
        }
        Ok(())
    }

    #[test]
    fn a_json_object_gives_its_plain_values() -> Result<(), Malformed> {
        let read = Parameters::parse_json(br#"{"Body":"hi","NumMedia":0,"x":{"y":1},"z":null}"#, 9)?;
        assert_eq!((read.get("Body"), read.get("NumMedia"), read.len()), (Some("hi"), Some("0"), 2));
        for not_an_object in [&b"[]"[..], b"", b"{", b"\"x\""] {
            assert_eq!(Parameters::parse_json(not_an_object, 9), Err(Malformed::Json));
        }
        Ok(())
    }

    #[test]
    fn parameters_print_as_their_number() {
        let parameters: Parameters = [("From", "+12065550100")].into_iter().collect();
        assert_eq!(format!("{parameters:?}"), "[1 parameters]");
    }

    /// The same rules, written for reading: split, then decode byte by byte.
    fn reference(raw: &[u8]) -> Option<Pairs> {
        fn decoded(part: &[u8]) -> Option<String> {
            let mut bytes = Vec::new();
            let mut rest = part.iter();
            while let Some(byte) = rest.next() {
                bytes.push(match byte {
                    b'+' => b' ',
                    b'%' => {
                        let digits = [*rest.next()?, *rest.next()?];
                        let digits = std::str::from_utf8(&digits).ok()?;
                        let hex = digits.chars().all(|c| c.is_ascii_hexdigit());
                        u8::from_str_radix(digits, 16).ok().filter(|_| hex)?
                    }
                    plain => *plain,
                });
            }
            String::from_utf8(bytes).ok()
        }
        let fields = raw.split(|b| *b == b'&').filter(|field| !field.is_empty());
        fields
            .map(|field| {
                let mut halves = field.splitn(2, |b| *b == b'=');
                Some((decoded(halves.next()?)?, decoded(halves.next().unwrap_or_default())?))
            })
            .collect()
    }

    fn formlike() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(b"&".to_vec()),
            4 => Just(b"=".to_vec()),
            2 => Just(b"+".to_vec()),
            3 => any::<u8>().prop_map(|b| format!("%{b:02x}").into_bytes()),
            2 => any::<char>().prop_map(|c| c.to_string().bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).collect()),
            4 => "[a-zA-Z0-9]{1,4}".prop_map(String::into_bytes),
            1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            1 => any::<u8>().prop_map(|b| vec![b]),
            1 => Just(b"%".to_vec()),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn the_parser_agrees_with_the_reference(raw in formlike()) {
            let parsed = Parameters::parse(&raw, usize::MAX);
            prop_assert_eq!(parsed.as_ref().ok().map(pairs), reference(&raw));
        }

        #[test]
        fn what_is_encoded_is_read_back(sent in proptest::collection::vec((any::<String>(), any::<String>()), 0..20)) {
            let sent: Parameters = sent.into_iter().collect();
            prop_assert_eq!(Parameters::parse(sent.encode().as_bytes(), 20), Ok(sent));
        }
    }
}
