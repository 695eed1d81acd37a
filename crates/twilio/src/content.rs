//! A webhook's content, read once: how its parameters travelled, and the parameters. Verifying and
//! understanding both start from it.

use crate::parameters::{Malformed, Parameters};

/// How a request carries its parameters; it decides what the signature is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// GET: in the query. The signature is over the URL.
    Query,
    /// POST of a form. The signature is over the URL and every parameter.
    Form,
    /// POST of JSON. The signature is over the URL, which holds the body's hash.
    Json,
}

/// A webhook's parameters and how they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// How they came.
    pub encoding: Encoding,
    /// All of them, in order.
    pub parameters: Parameters,
}

/// Why a request's content cannot be read. Both are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither a form nor JSON: the caller answers 415.
    #[error("the content type is neither application/x-www-form-urlencoded nor application/json")]
    UnsupportedType,
    /// Not what it says it is: the caller answers 400.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Content {
    /// Reads a request: its method in upper case, its raw target, its `Content-Type` (empty when there was
    /// none) and its raw body. At most `max` parameters are taken.
    pub fn read(
        method: &str,
        target: &str,
        content_type: &str,
        body: &[u8],
        max: usize,
    ) -> Result<Self, Error> {
        let encoding = Encoding::of(method, content_type, body)?;
        let parameters = match encoding {
            // Nothing signs a GET's body, so whoever replays one could put anything there.
            Encoding::Query if !body.is_empty() => return Err(Malformed::BodyOnGet.into()),
            Encoding::Query => Parameters::parse(query(target).as_bytes(), max)?,
            Encoding::Form => Parameters::parse(body, max)?,
            Encoding::Json => Parameters::parse_json(body, max)?,
        };
        Ok(Self { encoding, parameters })
    }
}

impl Encoding {
    fn of(method: &str, content_type: &str, body: &[u8]) -> Result<Self, Error> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if method == "GET" {
            Ok(Self::Query)
        } else if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
            || (media_type.is_empty() && body.is_empty())
        {
            Ok(Self::Form)
        } else if media_type.eq_ignore_ascii_case("application/json") {
            Ok(Self::Json)
        } else {
            Err(Error::UnsupportedType)
        }
    }
}

/// The query of a target or a URL, without its question mark and without a fragment.
pub(crate) fn query(target: &str) -> &str {
    let target = target.split('#').next().unwrap_or_default();
    target.split_once('?').map_or("", |(_, query)| query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, content_type: &str, body: &str, expected: Result<Encoding, Error>) {
        let read = Content::read(method, "/inbound/main?Body=hi", content_type, body.as_bytes(), 9);
        assert_eq!(read.map(|content| content.encoding), expected, "{method} {content_type}");
    }

    #[test]
    fn method_and_content_type_say_where_the_parameters_are() {
        check("GET", "", "", Ok(Encoding::Query));
        check("POST", "application/x-www-form-urlencoded", "Body=hi", Ok(Encoding::Form));
        check("POST", "Application/X-WWW-Form-Urlencoded; charset=UTF-8", "Body=hi", Ok(Encoding::Form));
        check("POST", "", "", Ok(Encoding::Form));
        check("POST", "application/json; charset=utf-8", "{}", Ok(Encoding::Json));
    }

    #[test]
    fn other_types_and_a_get_with_a_body_are_refused() {
        check("POST", "text/plain", "Body=hi", Err(Error::UnsupportedType));
        check("POST", "", "Body=hi", Err(Error::UnsupportedType));
        check("POST", "application/json", "Body=hi", Err(Malformed::Json.into()));
        check("GET", "", "Body=forged", Err(Malformed::BodyOnGet.into()));
    }

    #[test]
    fn a_get_reads_its_query() -> Result<(), Error> {
        let content = Content::read("GET", "/inbound/main?From=%2B1206&Body=a+b", "", b"", 9)?;
        assert_eq!(content.parameters.get("Body"), Some("a b"));
        assert_eq!(content.parameters.get("From"), Some("+1206"));
        Ok(())
    }
}
