//! URLs as settings. Credentials inside a URL are refused: they would be printed wherever the URL is.

use url::Url;

use super::value::checked_text;

checked_text! {
    /// An `http` or `https` URL: an origin and perhaps a path, without credentials, query, fragment or a slash at
    /// its end. It is kept as typed, since signatures cover the exact text.
    pub struct HttpUrl: "an http:// or https:// URL without credentials, query, fragment or slash at its end",
    |text| {
        parsed(text, &["http", "https"]).is_some_and(|url| url.query().is_none() && url.fragment().is_none())
            && !text.ends_with('/')
    }
}

impl HttpUrl {
    /// Where Twilio's API is for accounts of the first region.
    pub fn twilio() -> Self {
        Self("https://api.twilio.com".to_owned())
    }

    /// The name of the host.
    pub fn host(&self) -> String {
        Url::parse(&self.0).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

checked_text! {
    /// One or more NATS servers of one cluster, with commas between.
    pub struct NatsUrl: "nats:// or tls:// URLs without credentials, with commas between",
    |text| text.split(',').all(|one| parsed(one, &["nats", "tls"]).is_some())
}

/// The URL when it has one of the schemes, a host and no credentials, and no white space was in it.
fn parsed(text: &str, schemes: &[&str]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && !text.contains('@');
    let visible = text.bytes().all(|b| b.is_ascii_graphic());
    (plain && visible && url.has_host() && schemes.contains(&url.scheme())).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin_and_perhaps_a_path() {
        for good in ["http://127.0.0.1:8080", "https://sms.example.org", "https://example.org/texts"] {
            assert_eq!(HttpUrl::parse(good).map(|url| url.as_str().to_owned()).as_deref(), Some(good));
        }
        for bad in [
            "https://example.org/",
            "example.org",
            "ftp://x",
            "https://u:p@x.org",
            "https://x.org?a",
            "https://x.org#a",
            "https:// x.org",
        ] {
            assert_eq!(HttpUrl::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_of_the_broker_are_settings_of_their_own() {
        assert!(NatsUrl::parse("nats://a:4222,tls://b:4222").is_some());
        for bad in ["nats://user:password@a:4222", "http://a", "nats://a,", ""] {
            assert_eq!(NatsUrl::parse(bad), None, "{bad}");
        }
    }
}
