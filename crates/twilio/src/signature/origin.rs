//! Which URLs Twilio may have signed for one request. The back end is inconsistent about ports, and a GET's
//! apostrophes arrive in two spellings; nothing else is varied, and no URL is parsed and put together again.

use std::borrow::Cow;

/// The start of a public URL, cut where the variants differ: `https://` `host` `:port` `/prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) host: &'a str,
    /// With its colon; empty when none was given.
    pub(crate) port: &'a str,
    /// Everything after the authority.
    pub(crate) rest: &'a str,
}

/// How the port stood in the URL that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// As in the configured URL.
    AsConfigured,
    /// Left out, though configured.
    LeftOut,
    /// The scheme's own (`:443`, `:80`), though not configured.
    Default,
}

impl<'a> Origin<'a> {
    /// Cuts a URL; `None` without a scheme or a host. `user:password@` is dropped: Twilio leaves it out of
    /// what it signs.
    pub(crate) fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_at(url.find("://")? + 3);
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // The colons of an IPv6 address stand inside brackets.
        let port = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
        let (host, port) = authority.split_at(port.unwrap_or(authority.len()));
        (!host.is_empty()).then_some(Self { scheme, host, port, rest })
    }

    /// The port that this scheme has by default, with its colon.
    pub(crate) fn default_port(&self) -> &'static str {
        if self.scheme.eq_ignore_ascii_case("https://") { ":443" } else { ":80" }
    }

    /// Each way the port may have been written, the likeliest first.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (Port, &'a str)> + use<'a> {
        let default = self.default_port();
        let left_out = (!self.port.is_empty()).then_some((Port::LeftOut, ""));
        let default = (self.port != default).then_some((Port::Default, default));
        [Some((Port::AsConfigured, self.port)), left_out, default].into_iter().flatten()
    }
}

/// Each way a target may have been written, the one received first. Only a GET's query may hold what a person
/// wrote, so only there is the apostrophe varied (twilio-node #1183, twilio-ruby #528).
pub(crate) fn targets(target: &str, get: bool) -> impl Iterator<Item = Cow<'_, str>> {
    // A fragment is never signed and should not have been sent.
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let spelled = move |from: &str, to: &str| {
        (get && query.contains(from)).then(|| Cow::Owned(format!("{path}{}", query.replace(from, to))))
    };
    [Some(Cow::Borrowed(target)), spelled("'", "%27"), spelled("%27", "'")].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &[&str]) {
        let urls: Vec<String> = Origin::parse(url)
            .map(|origin| {
                let url = |port| format!("{}{}{port}{}", origin.scheme, origin.host, origin.rest);
                origin.ports().map(|(_, port)| url(port)).collect()
            })
            .unwrap_or_default();
        assert_eq!(urls, expected, "{url}");
    }

    #[test]
    fn the_port_is_tried_as_configured_without_and_by_default() {
        check("https://a.example", &["https://a.example", "https://a.example:443"]);
        check("https://a.example:443/p", &["https://a.example:443/p", "https://a.example/p"]);
        check("http://a.example:8080", &["http://a.example:8080", "http://a.example", "http://a.example:80"]);
        check("https://[::1]:8443/p", &["https://[::1]:8443/p", "https://[::1]/p", "https://[::1]:443/p"]);
        check("http://[::1]", &["http://[::1]", "http://[::1]:80"]);
    }

    #[test]
    fn credentials_in_a_url_are_not_signed() {
        check("https://user:pa@ss@a.example/p", &["https://a.example/p", "https://a.example:443/p"]);
    }

    #[test]
    fn what_has_no_scheme_or_host_is_no_origin() {
        check("a.example", &[]);
        check("https:///path", &[]);
    }

    #[test]
    fn only_a_gets_query_has_two_spellings_of_an_apostrophe() {
        let all = |target, get| targets(target, get).map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(all("/o'k?a=it's", true), ["/o'k?a=it's", "/o'k?a=it%27s"]);
        assert_eq!(all("/ok?a=it%27s#f", true), ["/ok?a=it%27s", "/ok?a=it's"]);
        assert_eq!(all("/ok?a=it's", false), ["/ok?a=it's"]);
        assert_eq!(all("/ok", true), ["/ok"]);
    }
}
