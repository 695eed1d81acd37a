//! One webhook request: where it goes and what it carries, signed.

use casewire_domain::directory::Algorithm;
use casewire_twilio::parameters::Parameters;
use casewire_twilio::signature;
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use secrecy::SecretString;
use url::{Url, form_urlencoded};

use crate::account::Method;
use crate::webhook::overrides::Overrides;

/// A webhook, ready to be tried any number of times.
pub(crate) struct Request {
    method: Method,
    url: Url,
    user: Option<(String, Option<String>)>,
    parameters: Parameters,
    token: SecretString,
    idempotency_token: String,
    pub(super) overrides: Overrides,
}

impl Request {
    /// `url` may carry overrides in its fragment, and a user; neither is sent in it, nor signed (Twilio drops
    /// the user of a messaging webhook from what it signs). `idempotency_token` is the same in every attempt.
    /// Errors are Twilio's codes: 11321 for a bad URL, 11243 for a bad retry policy.
    pub(crate) fn new(
        method: Method,
        url: &str,
        parameters: Parameters,
        token: SecretString,
        idempotency_token: String,
    ) -> Result<Self, u32> {
        let mut url = Url::parse(url).ok().filter(is_web).ok_or(11_321u32)?;
        let overrides = Overrides::parse(url.fragment().unwrap_or_default()).map_err(|_| 11_243u32)?;
        url.set_fragment(None);
        let user = (!url.username().is_empty())
            .then(|| (url.username().to_owned(), url.password().map(str::to_owned)));
        // Only a URL without a host refuses this, and it has one.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { method, url, user, parameters, token, idempotency_token, overrides })
    }

    /// The first hop.
    pub(super) fn start(&self) -> Hop {
        Hop { method: self.method, url: self.url.clone(), with_parameters: true }
    }

    /// The HTTP request of a hop.
    pub(super) fn build(&self, client: &reqwest::Client, hop: &Hop) -> reqwest::RequestBuilder {
        let none = Parameters::default();
        let parameters = if hop.with_parameters { &self.parameters } else { &none };
        let (request, signed_url, form) = match hop.method {
            Method::Post => {
                let body =
                    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters.iter()).finish();
                let request = client
                    .post(hop.url.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
                    .body(body);
                (request, hop.url.clone(), parameters)
            }
            Method::Get => {
                let mut url = hop.url.clone();
                if hop.with_parameters {
                    url.query_pairs_mut().extend_pairs(parameters.iter());
                }
                (client.get(url.clone()), url, &none)
            }
        };
        let signature = signature::sign(signed_url.as_str(), form, &self.token, Algorithm::HmacSha1);
        let request = request
            .header(USER_AGENT, "TwilioProxy/1.1")
            .header("I-Twilio-Idempotency-Token", &self.idempotency_token)
            .header(signature::HEADER, signature);
        match &self.user {
            Some((name, password)) => request.basic_auth(name, password.as_ref()),
            None => request,
        }
    }
}

/// Where a request goes next, redirects included.
pub(super) struct Hop {
    method: Method,
    url: Url,
    with_parameters: bool,
}

impl Hop {
    /// Where an answer sends it. 307 and 308 keep the request; the others make it a GET that has lost its
    /// parameters, as at Twilio.
    pub(super) fn redirected(&self, status: u16, location: &str) -> Option<Self> {
        let url = self.url.join(location).ok().filter(is_web)?;
        Some(match status {
            307 | 308 => Self { method: self.method, url, with_parameters: self.with_parameters },
            _ => Self { method: Method::Get, url, with_parameters: false },
        })
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}
