//! The ways a request may differ from what was signed, each undoing one mistake that people make.

use std::fmt;

use crate::content::{Content, Encoding};
use crate::parameters::Parameters;
use crate::signature::{Origin, UrlRequest, canonical};

/// One difference between the request as given and the request as signed. It reads after "it would match".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Behind a proxy that ends TLS the service sees http, while Twilio signed https.
    Https,
    /// The other way round.
    Http,
    /// Twilio signs the URL as it was configured; browsers and proxies lower the host.
    LowerCaseHost,
    /// A port that Twilio does not sign.
    WithoutPort,
    /// A port that Twilio signs and that is not in the URL.
    Port(&'static str),
    /// A slash that a server's rewrite removed.
    TrailingSlash,
    /// A slash that a server's rewrite added.
    NoTrailingSlash,
    /// A query that was escaped once more on its way.
    QueryUnescaped,
    /// An apostrophe that a URL library left plain.
    ApostropheEscaped,
    /// An apostrophe that a URL library escaped.
    ApostrophePlain,
    /// A query that was added on its way.
    WithoutQuery,
    /// White space around the body, such as the line break that `echo` adds.
    BodyTrimmed,
    /// White space at the end of the body or of the text in it, which a framework removed.
    BodyUntrimmed,
    /// Only the URL is signed in a GET.
    AsGet,
    /// The parameters of a form are signed too.
    AsForm,
    /// Without the settings header.
    AuthToken,
    /// With a settings header that names this key and its algorithm.
    SharedKey,
}

/// A URL that may have been signed, and how it differs from the one given.
#[derive(Clone, Default)]
pub(super) struct Draft {
    pub(super) url: String,
    pub(super) changes: Vec<Change>,
}

/// One part of what is signed in each of its spellings, the one given first.
pub(super) type Spellings = Vec<(Option<Change>, String)>;

/// Every URL that may have been signed; none when the one given is no URL.
pub(super) fn urls(request: &UrlRequest<'_>) -> Vec<Draft> {
    let Some(origin) = Origin::parse(request.url) else { return Vec::new() };
    let target = origin.rest.split('#').next().unwrap_or_default();
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let parts = [schemes(origin.scheme), hosts(origin.host), ports(origin.port), paths(path), queries(query)];
    parts.iter().fold(vec![Draft::default()], |drafts, part| {
        drafts.iter().flat_map(|draft| part.iter().map(|spelling| draft.followed_by(spelling))).collect()
    })
}

impl Draft {
    fn followed_by(&self, (change, text): &(Option<Change>, String)) -> Self {
        let mut longer = self.clone();
        longer.url.push_str(text);
        longer.changes.extend(change);
        longer
    }
}

/// Puts the one given first and keeps of the others those that differ.
fn spellings(given: &str, others: impl IntoIterator<Item = (Change, String)>) -> Spellings {
    let others = others.into_iter().map(|(change, text)| (Some(change), text));
    distinct([(None, given.to_owned())].into_iter().chain(others))
}

/// Of equal texts the first, so that one cause is told once.
fn distinct(texts: impl IntoIterator<Item = (Option<Change>, String)>) -> Spellings {
    let mut kept = Spellings::new();
    for (change, text) in texts {
        if kept.iter().all(|(_, known)| *known != text) {
            kept.push((change, text));
        }
    }
    kept
}

fn schemes(scheme: &str) -> Spellings {
    spellings(scheme, [(Change::Https, "https://".to_owned()), (Change::Http, "http://".to_owned())])
}

fn hosts(host: &str) -> Spellings {
    spellings(host, [(Change::LowerCaseHost, host.to_ascii_lowercase())])
}

fn ports(port: &str) -> Spellings {
    let named = [":443", ":80"].map(|port| (Change::Port(port), port.to_owned()));
    spellings(port, [(Change::WithoutPort, String::new())].into_iter().chain(named))
}

fn paths(path: &str) -> Spellings {
    let other = match path.strip_suffix('/') {
        Some(without) => (Change::NoTrailingSlash, without.to_owned()),
        None => (Change::TrailingSlash, format!("{path}/")),
    };
    spellings(path, [other])
}

fn queries(query: &str) -> Spellings {
    let unescaped = Parameters::parse(query.replace('+', "%2B").replace('&', "%26").as_bytes(), 1);
    let unescaped = unescaped.ok().and_then(|p| {
        let (name, value) = p.iter().next()?;
        Some(if query.contains('=') { format!("{name}={value}") } else { name.to_owned() })
    });
    spellings(
        query,
        [
            (Change::ApostropheEscaped, query.replace('\'', "%27")),
            (Change::ApostrophePlain, query.replace("%27", "'")),
            (Change::WithoutQuery, String::new()),
        ]
        .into_iter()
        .chain(unescaped.map(|text| (Change::QueryUnescaped, text))),
    )
}

/// What may have been signed beside the URL, the payload as given first where it can be read.
pub(super) fn payloads(request: &UrlRequest<'_>) -> Spellings {
    let UrlRequest { method, url, content_type, body, .. } = *request;
    let given = Content::read(method, url, content_type, body, usize::MAX).ok();
    let is_form = given.as_ref().is_some_and(|content| content.encoding == Encoding::Form);
    let form = |body: &[u8]| Parameters::parse(body, usize::MAX).ok();
    let mut all = Spellings::new();
    if let Some(content) = &given {
        let text = if is_form { canonical(&content.parameters) } else { String::new() };
        all.push((None, text));
    }
    if is_form {
        all.push((Some(Change::AsGet), String::new()));
    } else if let Some(form) = form(body).filter(|form| !form.is_empty()) {
        all.push((Some(Change::AsForm), canonical(&form)));
    }
    if body.trim_ascii() != body {
        all.extend(form(body.trim_ascii()).map(|form| (Some(Change::BodyTrimmed), canonical(&form))));
    }
    if let Some(content) = given.filter(|_| is_form) {
        let untrimmed = untrimmed(&content.parameters);
        all.extend(untrimmed.iter().map(|form| (Some(Change::BodyUntrimmed), canonical(form))));
    }
    distinct(all)
}

/// The form with white space again at the end of the text in it, or of its last value.
fn untrimmed(form: &Parameters) -> Vec<Parameters> {
    let last = form.len().saturating_sub(1);
    let with = |space: &str, here: &dyn Fn(usize, &str) -> bool| {
        let space = |i, name| if here(i, name) { space } else { "" };
        form.iter().enumerate().map(|(i, (name, text))| (name, format!("{text}{}", space(i, name)))).collect()
    };
    [" ", "\n", "\r\n"]
        .into_iter()
        .flat_map(|space| [with(space, &|_, name| name == "Body"), with(space, &|i, _| i == last)])
        .collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => "with https",
            Self::Http => "with http",
            Self::LowerCaseHost => "with the host in lower case",
            Self::WithoutPort => "without the port",
            Self::Port(port) => return write!(f, "with {port}"),
            Self::TrailingSlash => "with a slash at the end of the path",
            Self::NoTrailingSlash => "without the slash at the end of the path",
            Self::QueryUnescaped => "with the query unescaped",
            Self::ApostropheEscaped => "with %27 for ' in the query",
            Self::ApostrophePlain => "with ' for %27 in the query",
            Self::WithoutQuery => "without the query",
            Self::BodyTrimmed => "with the white space around the body removed",
            Self::BodyUntrimmed => "with the body untrimmed",
            Self::AsGet => "as a GET, whose signature is over the URL alone",
            Self::AsForm => "as a POST of a form, whose signature is over its parameters too",
            Self::AuthToken => "as HMAC-SHA1 with the auth token, without signature settings",
            Self::SharedKey => "with signature settings that name the shared key",
        })
    }
}
