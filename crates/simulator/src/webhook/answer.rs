//! What the answer to a text's webhook means to Twilio. Verbs are not executed: casewire never answers with
//! any, because its replies go through the REST API.

use bytes::Bytes;

/// The answer to a webhook.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

/// What it means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// TwiML, or nothing at all.
    Twiml,
    /// Plain text, which Twilio sends on to the person.
    Reply(String),
    /// Neither, with Twilio's code for why: 12100 no XML, 12102 another root, 12300 another type.
    Broken(u32),
}

impl Meaning {
    /// Source: voice/twiml (content types), docs/api/errors/12100, 12102, 12300.
    pub(crate) fn of(answer: &Answer) -> Self {
        let body = String::from_utf8_lossy(&answer.body);
        let kind = answer.content_type.as_deref().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            _ if answer.status == 204 => Self::Twiml,
            "text/xml" | "application/xml" | "text/html" => match root_error(&body) {
                _ if body.is_empty() => Self::Twiml,
                None => Self::Twiml,
                Some(code) => Self::Broken(code),
            },
            "text/plain" if body.is_empty() || root_error(&body).is_none() => Self::Twiml,
            "text/plain" => Self::Reply(body.into_owned()),
            _ => Self::Broken(12_300),
        }
    }
}

/// Whether this is no document with the root `Response`. White space before the declaration is an error to
/// Twilio's parser, and so here.
fn root_error(document: &str) -> Option<u32> {
    let rest = match document.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest.trim_start()),
        None => document,
    };
    let Some(root) = rest.strip_prefix('<') else { return Some(12_100) };
    let Some(inner) = root.strip_prefix("Response") else { return Some(12_102) };
    let inner = inner.trim_end();
    let closed = inner.ends_with("/>") || (inner.contains('>') && inner.ends_with("</Response>"));
    (!closed).then_some(12_100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, body: &'static str, expected: Meaning) {
        let answer = Answer {
            status: 200,
            content_type: (!content_type.is_empty()).then(|| content_type.to_owned()),
            body: Bytes::from_static(body.as_bytes()),
        };
        assert_eq!(Meaning::of(&answer), expected, "{content_type} {body}");
    }

    #[test]
    fn empty_twiml_is_understood() {
        check("text/xml", casewire_twilio::twiml::EMPTY, Meaning::Twiml);
        check("application/xml; charset=utf-8", "<Response/>", Meaning::Twiml);
        check("text/plain", "<Response></Response>", Meaning::Twiml);
    }

    #[test]
    fn plain_text_goes_to_the_person() {
        check("text/plain; charset=utf-8", "200 OK", Meaning::Reply("200 OK".to_owned()));
    }

    #[test]
    fn what_is_no_twiml_is_an_error() {
        check("text/xml", " <?xml version=\"1.0\"?><Response/>", Meaning::Broken(12_100));
        check("text/xml", "OK", Meaning::Broken(12_100));
        check("text/html", "<html></html>", Meaning::Broken(12_102));
        check("text/xml", "<Response>", Meaning::Broken(12_100));
        check("application/json", "{}", Meaning::Broken(12_300));
        check("", "", Meaning::Broken(12_300));
    }
}
