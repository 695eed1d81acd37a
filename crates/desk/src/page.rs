//! The demo page: its files, and the one-time link that opens it.

use std::fmt::Write as _;
use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use casewire_runtime::http::read;
use sha2::{Digest as _, Sha256};

use crate::Config;
use crate::auth::{self, Authority};
use crate::problem::Problem;
use crate::traffic::watch;

/// Only our own files, no inline script or style, no other host, nobody's frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            name: $name,
            content_type: $content_type,
            content: include_str!(concat!("../assets/", $name)),
        }
    };
}

const INDEX: Asset = asset!("index.html", "text/html; charset=utf-8");
const NO_SESSION: Asset = asset!("no-session.html", "text/html; charset=utf-8");
const LINK_USED: Asset = asset!("link-used.html", "text/html; charset=utf-8");
const SIGNED_IN: Asset = asset!("signed-in.html", "text/html; charset=utf-8");

const ASSETS: [Asset; 12] = [
    asset!("base.css", "text/css; charset=utf-8"),
    asset!("desk.css", "text/css; charset=utf-8"),
    asset!("handset.css", "text/css; charset=utf-8"),
    asset!("mark.svg", "image/svg+xml"),
    asset!("api.js", "text/javascript; charset=utf-8"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("cases.js", "text/javascript; charset=utf-8"),
    asset!("dom.js", "text/javascript; charset=utf-8"),
    asset!("handset.js", "text/javascript; charset=utf-8"),
    asset!("segments.js", "text/javascript; charset=utf-8"),
    asset!("thread.js", "text/javascript; charset=utf-8"),
    asset!("ticks.js", "text/javascript; charset=utf-8"),
];

/// One mark for all files: they are built together, and a page never mixes two versions.
static ETAG: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in [INDEX].iter().chain(&ASSETS) {
        hash.update(asset.content);
    }
    let mut etag = String::from("\"");
    for byte in hash.finalize().iter().take(12) {
        // Writing to a string cannot fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag + "\""
});

/// Mounts the page.
pub(crate) fn routes(service: &mut ServiceConfig) {
    let headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"));
    let root = web::resource("/").wrap(from_fn(watch)).route(read().to(home));
    service.service(root).service(
        web::scope("/demo")
            .wrap(headers)
            .wrap(from_fn(watch))
            .route("", read().to(page))
            .route("/", read().to(home))
            .route("/config.json", read().to(shown))
            .route("/assets/{name}", read().to(asset)),
    );
}

async fn home() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/demo")).finish()
}

/// The page for who has a session; for who has a one-time link, the session and then the page.
async fn page(request: HttpRequest, authority: Data<Authority>) -> Result<HttpResponse, Problem> {
    let session = authority.session(&request).await?;
    match link_of(&request) {
        None if session.is_some() => Ok(file(&INDEX, StatusCode::OK)),
        None => Ok(file(&NO_SESSION, StatusCode::UNAUTHORIZED)),
        // Whoever is in already (the browser fetched the address ahead, or the person went back) stays in.
        Some(_) if session.is_some() => Ok(home().await),
        // Nobody sees what HEAD finds: it must not use the link up.
        Some(_) if request.method() == Method::HEAD => Ok(home().await),
        // A page fetched ahead may never be looked at: it must not use the link up.
        Some(_) if is_ahead(request.headers()) => Ok(HttpResponse::ServiceUnavailable().finish()),
        Some(link) => enter(&request, &authority, &link).await,
    }
}

fn link_of(request: &HttpRequest) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    pairs.find(|(name, _)| name == "link").map(|(_, link)| link.into_owned())
}

fn is_ahead(headers: &HeaderMap) -> bool {
    headers.get("Sec-Purpose").is_some_and(|purpose| purpose.as_bytes().starts_with(b"prefetch"))
}

async fn enter(request: &HttpRequest, authority: &Authority, link: &str) -> Result<HttpResponse, Problem> {
    let Some(cookie) = authority.open_session(request, link).await? else {
        return Ok(file(&LINK_USED, StatusCode::FORBIDDEN));
    };
    let mut answer = if auth::is_cross_site(request.headers()) {
        // Followed from another site (a terminal in the browser, say), a redirect would still count as that
        // site's, and the strict cookie would stay behind. A page of ours that goes on does not.
        file(&SIGNED_IN, StatusCode::OK)
    } else {
        home().await
    };
    let stored = answer.add_cookie(&cookie);
    debug_assert!(stored.is_ok(), "a session is made of characters that a cookie takes");
    Ok(answer)
}

/// What the page shows.
async fn shown(
    request: HttpRequest,
    authority: Data<Authority>,
    config: Data<Config>,
) -> Result<HttpResponse, Problem> {
    authority.require_session(&request).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(&config.demo))
}

async fn asset(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    match ASSETS.iter().find(|asset| asset.name == name.as_str()) {
        None => HttpResponse::NotFound().finish(),
        Some(_) if is_known(request.headers()) => {
            HttpResponse::NotModified().insert_header((header::ETAG, ETAG.as_str())).finish()
        }
        Some(asset) => HttpResponse::Ok()
            .content_type(asset.content_type)
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::ETAG, ETAG.as_str()))
            .body(asset.content),
    }
}

fn is_known(headers: &HeaderMap) -> bool {
    headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == ETAG.as_bytes())
}

/// A page that depends on who asks, so that nothing on the way may keep it.
fn file(asset: &Asset, status: StatusCode) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(asset.content_type)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(asset.content)
}
