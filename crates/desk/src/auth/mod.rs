//! Who asks. Integrations bring a bearer token, our own page a session cookie; everything behind the guard
//! then knows a [`Caller`], and nothing else proves one.

mod cookie;
mod guard;

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use casewire_domain::WorkspaceId;
use casewire_store::{Store, TokenKind};
use chrono::Utc;
use secrecy::ExposeSecret as _;

use crate::metrics::{Metrics, USED_LINK};
use crate::problem::{Missing, Problem};
use crate::token;

pub use guard::Guard;

/// Who asks, once that is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the token or session.
    pub name: String,
    /// What they may see.
    pub workspace_id: WorkspaceId,
}

impl Caller {
    /// The caller as the trail names an actor.
    pub fn actor(&self) -> String {
        format!("agent:{}", self.name)
    }
}

impl From<casewire_store::Caller> for Caller {
    fn from(caller: casewire_store::Caller) -> Self {
        Self { name: caller.name, workspace_id: caller.workspace_id }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// The caller the guard let in. Without a guard there is none, so a route outside it refuses everybody.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or(Problem::Unauthorized(Missing::Credentials)))
    }
}

/// Decides who may come in.
#[derive(Clone)]
pub struct Authority {
    store: Store,
    cookies: cookie::Cookies,
    session_life: Duration,
    metrics: Metrics,
}

impl Authority {
    /// Whom the store knows may come in. `public_url` is the origin under which browsers may reach the page,
    /// where it has one of its own; `session_life` is how long a session lasts.
    pub(crate) fn new(
        store: Store,
        public_url: Option<&str>,
        session_life: Duration,
        metrics: Metrics,
    ) -> Self {
        Self { store, cookies: cookie::Cookies::new(public_url), session_life, metrics }
    }

    fn refused(&self, missing: Missing) -> Problem {
        self.metrics.refused(missing.name());
        Problem::Unauthorized(missing)
    }

    /// Who sends this request: by its token if it has one, else by its session.
    pub(crate) async fn admit(&self, request: &HttpRequest) -> Result<Caller, Problem> {
        match request.headers().get(header::AUTHORIZATION) {
            Some(value) => self.by_token(value.to_str().unwrap_or_default()).await,
            None => self.require_session(request).await,
        }
    }

    async fn by_token(&self, authorization: &str) -> Result<Caller, Problem> {
        let (scheme, secret) = authorization.split_once(' ').unwrap_or_default();
        let secret = secret.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || !token::is_api_token(secret) {
            return Err(self.refused(Missing::ValidToken));
        }
        let caller = self.store.caller(TokenKind::Api, secret).await?;
        caller.map(Caller::from).ok_or_else(|| self.refused(Missing::ValidToken))
    }

    /// Whose session this request belongs to. One that changes something must come from our own page too: a
    /// cookie also travels with what other pages make a browser send.
    pub(crate) async fn require_session(&self, request: &HttpRequest) -> Result<Caller, Problem> {
        let missing =
            if self.cookies.read(request).is_some() { Missing::LiveSession } else { Missing::Credentials };
        let caller = self.session(request).await?.ok_or_else(|| self.refused(missing))?;
        if !request.method().is_safe() && !is_same_origin(request.headers()) {
            return Err(Problem::CrossSite);
        }
        Ok(caller)
    }

    /// Whose session this request belongs to, if to any.
    pub(crate) async fn session(&self, request: &HttpRequest) -> Result<Option<Caller>, Problem> {
        let Some(secret) = self.cookies.read(request).filter(|secret| token::is_bare(secret)) else {
            return Ok(None);
        };
        let caller = self.store.caller(TokenKind::Session, &secret).await?;
        Ok(caller.map(Caller::from))
    }

    /// Opens a session with a one-time link, and uses the link up; `None` when it was used or is too old.
    pub(crate) async fn open_session(
        &self,
        request: &HttpRequest,
        link: &str,
    ) -> Result<Option<Cookie<'static>>, Problem> {
        if !token::is_bare(link) {
            self.metrics.refused(USED_LINK);
            return Ok(None);
        }
        let session = token::bare().map_err(|error| {
            tracing::error!(event = "no_randomness", "{error}");
            Problem::Unavailable
        })?;
        let expires_at = Utc::now() + self.session_life;
        let opened = self.store.use_link(link, session.expose_secret(), expires_at).await?;
        if !opened {
            self.metrics.refused(USED_LINK);
        }
        Ok(opened.then(|| self.cookies.make(request, session.expose_secret(), self.session_life)))
    }
}

/// Whether a request comes from a page of our own origin. Browsers that cannot say so by Fetch Metadata
/// (plain http beyond this machine) say it by `Origin`; a client that says neither is no browser of ours.
fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("Sec-Fetch-Site") {
        return site == "same-origin";
    }
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    match (origin, text(header::HOST)) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// Whether another site made the browser send this.
pub(crate) fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("Sec-Fetch-Site").is_some_and(|site| site != "none" && site != "same-origin")
}
