//! The cookie that holds a session.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::header;
use casewire_runtime::http::Listening;

/// How the cookie is named and kept safe, by the way a browser reached us.
#[derive(Clone, Debug)]
pub(super) struct Cookies {
    /// Host, and port unless it is the usual one, of a public origin with TLS.
    secure_host: Option<String>,
}

impl Cookies {
    pub(super) fn new(public_url: Option<&str>) -> Self {
        let host = public_url.and_then(|url| url.strip_prefix("https://"));
        Self { secure_host: host.map(|rest| rest.split('/').next().unwrap_or(rest).to_owned()) }
    }

    /// Whether the browser came by the public origin with TLS. Only then may the cookie be `Secure`: over plain
    /// http to this very machine some browsers would not keep it.
    fn is_secure(&self, request: &HttpRequest) -> bool {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        host.zip(self.secure_host.as_deref()).is_some_and(|(host, secure)| host.eq_ignore_ascii_case(secure))
    }

    /// Cookies know no ports, so two of us on one machine need two names.
    fn name(&self, request: &HttpRequest) -> String {
        if self.is_secure(request) {
            return "__Host-casewire".to_owned();
        }
        format!("casewire_{}", request.app_data().map_or(0, |Listening(address)| address.port()))
    }

    pub(super) fn read(&self, request: &HttpRequest) -> Option<String> {
        request.cookie(&self.name(request)).map(|cookie| cookie.value().to_owned())
    }

    pub(super) fn make(&self, request: &HttpRequest, secret: &str, life: Duration) -> Cookie<'static> {
        let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        Cookie::build(self.name(request), secret.to_owned())
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.is_secure(request))
            .max_age(time::Duration::seconds(seconds))
            .finish()
    }
}
